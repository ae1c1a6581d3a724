"use strict";
// Draws the charts from the report in the page. Everything a chart shows is also in a table, so the page is whole without it.
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const barHeight = 14, rowHeight = 58;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const whole = (n) => n.toLocaleString("en-US");
  const share = (part, all) => (all ? ((100 * part) / all).toFixed(1) + " %" : "0 %");
  const time = (s) => (s < 60 ? s.toFixed(s < 10 && s % 1 ? 1 : 0) + " s" : Math.floor(s / 60) + ":" + String(Math.round(s % 60)).padStart(2, "0") + " min");

  // A reason keeps its color in every report; one that is not known here takes the next.
  // There are eight colors: the last two share theirs with reasons of other tables.
  const exclusions = ["no_consent", "before_consent", "unknown_customer", "ambiguous_device", "duplicate", "suspended", "no_readings", "already_decided", "no_step_reading", "superseded"];
  const faults = ["malformed", "wrong_type", "missing_key", "future_time", "malformed_email", "implausible_time"];
  const shade = (known, prefix, reason) => {
    if (!known.includes(reason)) known.push(reason);
    return prefix + ((known.indexOf(reason) % (prefix === "bad-" ? 6 : 8)) + 1);
  };
  const excluded = (reason) => shade(exclusions, "reason-", reason);
  const faulty = (reason) => shade(faults, "bad-", reason);

  // bars: [{label, note, parts: [{name, value, color, text}], offset}], drawn as stacked bars, each below its label.
  function draw(id, title, bars, axis) {
    const place = document.getElementById(id);
    if (!place || !bars.length) return;
    place.hidden = false;
    place.textContent = "";
    const names = [...new Map(bars.flatMap((bar) => bar.parts).map((part) => [part.name, part.color]))];
    place.append(legend(names));
    const canvas = document.createElement("div");
    canvas.style.height = bars.length * rowHeight + 36 + "px";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", title + ": " + bars.map((bar) => bar.label + ", " + (bar.parts.filter((p) => p.value).map((p) => p.text).join(", ") || "nothing")).join("; ") + ".");
    place.append(canvas);
    const narrow = canvas.clientWidth < 420;
    const chart = echarts.init(canvas, null, { renderer: "svg" });
    const series = names.map(([name, tone]) => ({
      name, type: "bar", stack: "all", barWidth: barHeight, color: color(tone), emphasis: { disabled: true },
      itemStyle: { borderColor: color("surface"), borderWidth: 1, borderRadius: 3 },
      data: bars.map((bar) => {
        const part = bar.parts.find((p) => p.name === name);
        return part ? { value: part.value, text: part.text } : 0;
      }),
    }));
    if (bars.some((bar) => bar.offset)) {
      series.unshift({ type: "bar", stack: "all", barWidth: barHeight, color: "transparent", silent: true, data: bars.map((bar) => bar.offset || 0), tooltip: { show: false } });
    }
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: color("ink") },
      grid: { left: 0, right: 12, top: 16, bottom: 26 },
      tooltip: { trigger: "item", renderMode: "richText", confine: true, backgroundColor: color("surface"), borderColor: color("line"), textStyle: { color: color("ink"), fontSize: 13 }, formatter: (at) => at.data.text || "" },
      xAxis: { type: "value", max: axis.max, splitNumber: 4, interval: axis.interval, axisLabel: { color: color("quiet"), formatter: axis.format, hideOverlap: true, alignMinLabel: "left", alignMaxLabel: "right" }, splitLine: { lineStyle: { color: color("line") } } },
      yAxis: {
        type: "category", inverse: true, data: bars.map((bar) => bar.label), axisLine: { show: false }, axisTick: { show: false }, splitLine: { show: false },
        axisLabel: {
          inside: true, align: "left", margin: 0, padding: [0, 0, 38, 0], z: 5, width: canvas.clientWidth - 12, overflow: "truncate",
          formatter: (label, index) => "{label|" + label + "}  {note|" + bars[index].note + "}",
          rich: { label: { color: color("ink"), fontSize: narrow ? 12 : 13, fontWeight: 600 }, note: { color: color("quiet"), fontSize: narrow ? 11 : 12 } },
        },
        z: 5,
      },
      series,
    });
    charts.push(chart);
  }

  function legend(names) {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const [name, tone] of names) {
      const item = document.createElement("li");
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      mark.setAttribute("viewBox", "0 0 12 12");
      mark.setAttribute("aria-hidden", "true");
      for (const [key, value] of Object.entries({ width: 12, height: 12, rx: 3, fill: color(tone) })) dot.setAttribute(key, value);
      mark.append(dot);
      item.append(mark, name);
      list.append(item);
    }
    return list;
  }

  function funnel() {
    const bars = report.funnels.filter((f) => f.read).map((f) => {
      const part = (name, rows, tone) => ({ name, value: rows / f.read, color: tone, text: whole(rows) + " " + name + " (" + share(rows, f.read) + ")" });
      return {
        label: f.table, note: whole(f.accepted) + " of " + whole(f.read),
        parts: [part("accepted", f.accepted, "accepted"), ...f.excluded.map((c) => part(c.reason, c.rows, excluded(c.reason))), ...f.quarantined.map((c) => part(c.reason, c.rows, faulty(c.reason)))],
      };
    });
    draw("funnel-chart", "Share of the rows read by what became of them", bars, { max: 1, interval: 0.25, format: (x) => Math.round(100 * x) + " %" });
  }

  function quarantine() {
    const most = 12;
    const files = [...Map.groupBy(report.quarantine, (q) => q.file)].map(([file, rows]) => ({ file, rows, total: rows.reduce((sum, q) => sum + q.rows, 0) }));
    files.sort((a, b) => b.total - a.total);
    const bars = files.slice(0, most).map(({ file, rows, total }) => ({
      label: innerWidth < 600 ? file.split("/").pop() : file, note: whole(total),
      parts: rows.map((q) => ({ name: q.reason, value: q.rows, color: faulty(q.reason), text: whole(q.rows) + " " + q.reason })),
    }));
    draw("quarantine-chart", "Rows in quarantine by file and reason" + (files.length > most ? ", the " + most + " files with most" : ""), bars, { format: whole });
  }

  function jobs() {
    const shades = { SUCCEEDED: "accepted", FAILED: "quarantined", TIMEOUT: "quarantined", ERROR: "quarantined" };
    const name = (state) => state.toLowerCase().replaceAll("_", " ");
    const bars = report.jobs.map((job) => ({
      label: job.name, note: job.attempts ? time(job.seconds) : name(job.state), offset: job.offset,
      parts: job.attempts ? [{ name: name(job.state), value: job.seconds, color: shades[job.state] || "reason-5", text: time(job.seconds) + ", " + name(job.state) }] : [],
    }));
    if (report.jobs.some((job) => job.attempts)) draw("jobs-chart", "Time of the jobs from the start of the run", bars, { format: time });
  }

  let charts = [];
  function all() {
    charts.forEach((chart) => chart.dispose());
    charts = [];
    funnel();
    quarantine();
    jobs();
  }
  all();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (width === innerWidth) return;
    width = innerWidth;
    all();
  });
})();
