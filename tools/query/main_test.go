package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"stedi-lakehouse/internal/lake"
)

var answer = lake.Result{
	Columns: []lake.Column{{Name: "name", Type: "varchar"}, {Name: "rows", Type: "bigint"}, {Name: "ok", Type: "boolean"}},
	Rows: [][]*string{
		{aws.String(`Ö "x", y`), aws.String("81273"), aws.String("true")},
		{aws.String("two\nlines"), aws.String("7"), nil},
		{nil, aws.String("NaN"), aws.String("false")},
	},
}

func TestFormats(t *testing.T) {
	for format, want := range map[string]string{
		"table": "" +
			"name         rows  ok\n" +
			"----------  -----  -----\n" +
			"Ö \"x\", y    81273  true\n" +
			"two\\nlines      7  null\n" +
			"null          NaN  false\n" +
			"(3 rows)\n",
		"csv":  "name,rows,ok\n\"Ö \"\"x\"\", y\",81273,true\n\"two\nlines\",7,\n,NaN,false\n",
		"json": `{"name": "Ö \"x\", y", "rows": 81273, "ok": true}` + "\n" + `{"name": "two\nlines", "rows": 7, "ok": null}` + "\n" + `{"name": null, "rows": "NaN", "ok": false}` + "\n",
	} {
		var out strings.Builder
		if err := writers[format](&out, answer); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", format, got, want)
		}
	}
}

func TestWrongCalls(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"select 1", "select 2"}, {"-format", "xml", "select 1"}, {"-nothing", "select 1"}} {
		if err := run(t.Context(), args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("run(%q) = %v, want the usage", args, err)
		}
	}
}

func TestWithoutAnEmbeddedAWS(t *testing.T) {
	t.Chdir("../..") // where cdk.json is
	err := run(t.Context(), []string{"-work", t.TempDir(), "select 1"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "make demo KEEP=1") {
		t.Errorf("got %v, want an error that says how to start one", err)
	}
	err = run(t.Context(), []string{"-stage", "nowhere", "select 1"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `stage "nowhere" is unknown`) {
		t.Errorf("got %v, want an error that names the stages", err)
	}
}
