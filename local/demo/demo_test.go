package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 956: "956", 1000: "1,000", 81273: "81,273", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestLedgerLine(t *testing.T) {
	entry := parseLedger(`{"job":"j","table":"accelerometer_trusted","read":10,"accepted":4,"excluded":{"duplicate":1,"no_consent":3,"before_consent":0},"quarantined":{"malformed":2}}`)
	if entry == nil {
		t.Fatal("a ledger line was not read")
	}
	want := "read 10 = 4 accepted + 3 no_consent + 1 duplicate + 2 malformed"
	if got := entry.funnel(); got != want {
		t.Errorf("funnel = %q, want %q", got, want)
	}
	for _, line := range []string{"", "starting", `{"read": 1}`} {
		if parseLedger(line) != nil {
			t.Errorf("%q was read as a ledger line", line)
		}
	}
}

func TestCurrentRows(t *testing.T) {
	tests := map[string]struct {
		metadata string
		want     int64
	}{
		"never written": {`{"current-snapshot-id": null, "snapshots": []}`, 0},
		"current, not last": {`{"current-snapshot-id": 7, "snapshots": [
			{"snapshot-id": 7, "summary": {"total-records": "482"}}, {"snapshot-id": 8, "summary": {"total-records": "1"}}]}`, 482},
	}
	for name, test := range tests {
		if got, err := currentRows([]byte(test.metadata)); err != nil || got != test.want {
			t.Errorf("%s: currentRows = %d, %v, want %d", name, got, err, test.want)
		}
	}
}

func TestFindLanding(t *testing.T) {
	data := t.TempDir()
	if _, err := findLanding(data); err == nil || !strings.Contains(err.Error(), data) {
		t.Errorf("an empty folder gave %v, want an error that names it", err)
	}
	for _, name := range []string{"customer/landing/a.json", "customer/landing/b.json.gz", "customer/trusted/c.json", "expected.json"} {
		path := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := findLanding(data)
	if err != nil || len(files) != 2 || files["customer/landing/a.json"] == "" || files["customer/landing/b.json.gz"] == "" {
		t.Errorf("findLanding = %v, %v", files, err)
	}
}

func TestCompare(t *testing.T) {
	data := t.TempDir()
	counts := map[string]int64{"customer_trusted": 2}
	if err := compare(data, "", counts); err != nil {
		t.Errorf("a folder without expected.json: %v", err)
	}
	content := `{"as-of": {"customer_trusted": 2}, "ever": {"customer_trusted": 3}}`
	if err := os.WriteFile(filepath.Join(data, "expected.json"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := compare(data, "", counts); err != nil {
		t.Errorf("right counts: %v", err)
	}
	if err := compare(data, "ever", counts); err == nil || !strings.Contains(err.Error(), "customer_trusted has 2 rows") {
		t.Errorf("wrong counts gave %v", err)
	}
}

func TestWrongCalls(t *testing.T) {
	for _, args := range [][]string{nil, {"sideways"}, {"up", "-nothing"}, {"down", "extra"}} {
		if err := run(t.Context(), args); !errors.Is(err, errUsage) {
			t.Errorf("run(%q) = %v, want the usage", args, err)
		}
	}
	if err := run(t.Context(), []string{"up", "-work", t.TempDir(), "-data", "../../data/contracts"}); err == nil || !strings.Contains(err.Error(), "no landing files") {
		t.Errorf("a folder without data gave %v", err)
	}
}
