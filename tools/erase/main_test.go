package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
)

const ada, serial = "ada@example.com", "c0ffee00-1111"

// fake is a lakehouse in memory. work is what a run of the job does.
type fake struct {
	objects   map[string]string
	arguments map[string]string
	state     gluetypes.JobRunState
	looks     int
	work      func(*fake)
}

func (f *fake) erases(context.Context) error { return nil }

func (f *fake) put(_ context.Context, key string, content []byte, isNew bool) error {
	if _, there := f.objects[key]; there && isNew {
		return errThere
	}
	f.objects[key] = string(content)
	return nil
}

func (f *fake) get(_ context.Context, key string) ([]byte, error) {
	if content, there := f.objects[key]; there {
		return []byte(content), nil
	}
	return nil, errNone
}

func (f *fake) list(_ context.Context, prefix string) ([]string, error) {
	keys := slices.Sorted(maps.Keys(f.objects))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) }), nil
}

func (f *fake) start(_ context.Context, arguments map[string]string) (string, error) {
	f.arguments = arguments
	if f.work != nil {
		f.work(f)
	}
	return "jr_1", nil
}

func (f *fake) look(context.Context, string) (gluetypes.JobRunState, string, error) {
	if f.looks++; f.looks < 3 {
		return gluetypes.JobRunStateRunning, "", nil
	}
	return f.state, "erase_people: said last", nil
}

// shown is what a run of the tool printed, to both outputs.
type shown struct{ out, asked strings.Builder }

func (s *shown) all() string { return s.out.String() + s.asked.String() }

func with(f *fake, typed string, env map[string]string) (client, *shown) {
	said := &shown{}
	at := terminal{bufio.NewReader(strings.NewReader(typed)), &said.out, &said.asked, func(name string) string { return env[name] }}
	return client{f, at, "prod", 0}, said
}

// Whose request it is reaches the object and nothing that is printed, however it was told.
func TestRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "people.json")
	lines := `{"id": "a-1", "email": "ada@example.com"}` + "\n\n" + `{"id": "a-1", "serialNumber": "c0ffee00-1111"}` + "\n" + `{"email": "bob@example.com"}`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		typed    string
		env      map[string]string
		id, file string
		want     map[string]string // by key; empty: any key
	}{
		"typed": {" ada@example.com \n" + serial + "\n", nil, "a-1", "",
			map[string]string{"erasure/requests/a-1.json": `{"id":"a-1","email":"ada@example.com","serialNumber":"c0ffee00-1111"}` + "\n"}},
		"typed, without a line end": {"\n" + serial, nil, "a-1", "", map[string]string{"erasure/requests/a-1.json": `{"id":"a-1","serialNumber":"c0ffee00-1111"}` + "\n"}},
		"environment":               {"", map[string]string{"ERASE_EMAIL": ada}, "a-1", "", map[string]string{"erasure/requests/a-1.json": `{"id":"a-1","email":"ada@example.com"}` + "\n"}},
		"file": {"", nil, "", file, map[string]string{
			"erasure/requests/a-1.json": `{"id":"a-1","email":"ada@example.com"}` + "\n" + `{"id":"a-1","serialNumber":"c0ffee00-1111"}` + "\n", "": "bob@example.com",
		}},
		"no id": {ada + "\n\n", nil, "", "", map[string]string{"": ada}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{objects: map[string]string{}}
			c, said := with(f, test.typed, test.env)
			if err := c.request(t.Context(), test.id, test.file); err != nil {
				t.Fatal(err)
			}
			if len(f.objects) != len(test.want) {
				t.Errorf("%d objects were put, want %d", len(f.objects), len(test.want))
			}
			for key, content := range f.objects {
				want, named := test.want[key]
				id := strings.TrimSuffix(strings.TrimPrefix(key, requests), ".json")
				if named && content != want || !named && (!strings.Contains(content, test.want[""]) || !strings.Contains(content, `"id":"`+id+`"`)) {
					t.Errorf("%s is %s, want %s", key, content, test.want)
				}
				if !ids.MatchString(id) || !strings.Contains(said.out.String(), "request "+id+" is put\n") {
					t.Errorf("the id %s is not printed: %s", id, said.out.String())
				}
			}
			if text := said.all(); strings.Contains(text, ada) || strings.Contains(text, serial) || !strings.Contains(text, "make erasure-proof STAGE=prod REQUEST=") {
				t.Errorf("printed is %s, want what comes next and nobody's address", text)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	f := &fake{objects: map[string]string{"erasure/requests/a-1.json": "{}"}}
	c, _ := with(f, ada+"\n\n", nil)
	if err := c.request(t.Context(), "a-1", ""); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("an id that is taken: %v", err)
	}
	c, _ = with(f, "\n\n", nil)
	if err := c.request(t.Context(), "a-2", ""); err == nil || !strings.Contains(err.Error(), "neither an e-mail address nor a serial number") {
		t.Errorf("nobody: %v", err)
	}
	for content, want := range map[string]string{
		"": "holds no request", `{"email": "` + ada + `"`: "line 1: want a JSON object", `{"e-mail": "` + ada + `"}`: "line 1: want a JSON object",
		"\n" + `{"id": "` + ada + `", "email": "x"}`: "line 2: the id of a request has up to 64", `{"id": "a"}`: "line 1: want email, serialNumber or both",
	} {
		if _, err := parse([]byte(content)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ada") {
			t.Errorf("%s: %v, want %s and nobody's address", content, err, want)
		}
	}
	if len(f.objects) != 1 {
		t.Errorf("there are %d objects, want the one from before", len(f.objects))
	}
}

func certificate(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../internal/report/testdata/certificate.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProof(t *testing.T) {
	const id = "2026-11-27-1a2b3c4d"
	for name, test := range map[string]struct {
		objects map[string]string
		typed   string
		state   gluetypes.JobRunState
		leaves  bool // a certificate
		want    string
		again   bool // the person is named once more
	}{
		"pending":           {map[string]string{"erasure/state/pending.json": `{"` + id + `": {"people": []}}`}, "", gluetypes.JobRunStateSucceeded, true, "is not erased; the run is succeeded", false},
		"proven before":     {map[string]string{"erasure/certificates/" + id + "/jr_0.json": "{}", "erasure/state/pending.json": "{}"}, ada + "\n\n", gluetypes.JobRunStateSucceeded, true, "is not erased", true},
		"no certificate":    {map[string]string{"erasure/state/pending.json": `{"` + id + `": {}}`}, "", gluetypes.JobRunStateFailed, false, "run jr_1 is FAILED and has left no certificate: erase_people: said last", false},
		"not erased yet":    {map[string]string{"erasure/requests/x.json": "no JSON\n" + `{"id": "` + id + `"}`}, "", "", false, "nobody is erased for it yet", false},
		"of somebody else":  {map[string]string{"erasure/requests/x.json": `{"id": "other"}`}, "", "", false, "there is no request " + id, false},
		"pending is broken": {map[string]string{"erasure/state/pending.json": `[`}, "", "", false, "is not what the job writes", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{objects: test.objects, state: test.state}
			f.work = func(f *fake) {
				if test.leaves {
					f.objects["erasure/certificates/"+id+"/jr_1.json"] = certificate(t)
				}
			}
			c, said := with(f, test.typed, nil)
			folder := t.TempDir()
			err := c.prove(t.Context(), id, folder)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if started := f.arguments != nil; started && !maps.Equal(f.arguments, map[string]string{"--step": "prove", "--request": id}) || started != (test.state != "") {
				t.Errorf("the job was started with %v", f.arguments)
			}
			if named, _ := f.get(t.Context(), "erasure/proofs/"+id+".json"); (named != nil) != test.again || test.again && !strings.Contains(string(named), ada) {
				t.Errorf("the proof is asked for %q", named)
			}
			if files, _ := filepath.Glob(filepath.Join(folder, id+".*")); (len(files) == 2) != test.leaves {
				t.Errorf("written are %q", files)
			}
			if test.leaves && !strings.Contains(said.out.String(), "looked at 16 versions, 1,238,666 bytes") {
				t.Errorf("printed is %s", said.out.String())
			}
			if strings.Contains(said.all()+err.Error(), ada) {
				t.Error("an address was printed")
			}
		})
	}
}

func TestAnEndedWaitSaysThatTheRunGoesOn(t *testing.T) {
	c, _ := with(&fake{}, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.pause = 1 << 40
	if _, _, err := c.wait(ctx, "jr_1"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "jr_1 goes on") {
		t.Errorf("error is %v", err)
	}
}

func TestWrongCalls(t *testing.T) {
	at := terminal{bufio.NewReader(strings.NewReader("")), io.Discard, io.Discard, func(string) string { return "" }}
	for _, args := range [][]string{{"request"}, {"-email", ada}, {ada}, {"-proof"}, {"-proof", "-request", "a", "-file", "f"}, {"-file", "f", "-request", "a"}} {
		if err := run(t.Context(), args, at); !errors.Is(err, errUsage) || strings.Contains(err.Error(), ada) {
			t.Errorf("run(%q) = %v, want the usage", args, err)
		}
	}
	if err := run(t.Context(), []string{"-request", ada}, at); !errors.Is(err, errID) {
		t.Errorf("with an address as the id: %v", err)
	}
	t.Chdir("../..") // where cdk.json is
	if err := run(t.Context(), []string{"-work", t.TempDir()}, at); err == nil || !strings.Contains(err.Error(), "make demo KEEP=1") {
		t.Errorf("got %v, want an error that says how to start one", err)
	}
}
