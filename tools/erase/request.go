package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/strictjson"
)

// requests is where the job looks for them.
const requests = "erasure/requests/"

// ids are names of requests; the job refuses others. They are kept, so nobody's address fits in.
var ids = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

var errID = errors.New("the id of a request has up to 64 letters, digits, dots, hyphens and underscores; it is kept, so never let it be an address")

// person is a line of a request, as contract erasure_requests has it.
type person struct {
	ID           string `json:"id,omitempty"`
	Email        string `json:"email,omitempty"`
	SerialNumber string `json:"serialNumber,omitempty"`
}

// client speaks to a deployed lakehouse, and to who asks.
type client struct {
	lakehouse
	terminal
	stage string
	pause time.Duration // between two looks at a run
}

// request puts an object for each request: of the file, or of who is asked for.
func (c client) request(ctx context.Context, id, file string) error {
	people, err := c.people(id, file)
	if err != nil {
		return err
	}
	var names []string
	lines := map[string][]byte{}
	for _, one := range people {
		if one.ID == "" {
			one.ID = newID(time.Now())
		}
		line, err := json.Marshal(one)
		if err != nil {
			return err
		}
		if lines[one.ID] == nil {
			names = append(names, one.ID)
		}
		lines[one.ID] = append(append(lines[one.ID], line...), '\n')
	}
	for _, name := range names {
		key := requests + name + ".json"
		switch err := c.put(ctx, key, lines[name], true); {
		case errors.Is(err, errThere):
			return fmt.Errorf("request %s is there already and waits for its proof: choose another id", name)
		case err != nil:
			return fmt.Errorf("request %s is not put: %w", name, err)
		}
		fmt.Fprintf(c.out, "request %s is put\n", name)
	}
	fmt.Fprintf(c.out, "The next run of the pipeline erases first and proves last. Then: make erasure-proof STAGE=%s REQUEST=%s\n", c.stage, names[0])
	return nil
}

func (c client) people(id, file string) ([]person, error) {
	if file == "" {
		one, err := c.who(id)
		return []person{one}, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parse(content)
}

// parse reads a file of requests. An error never holds what a line does.
func parse(content []byte) ([]person, error) {
	var people []person
	for i, line := range bytes.Split(content, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var one person
		if strictjson.Unmarshal(line, &one) != nil {
			return nil, fmt.Errorf("line %d: want a JSON object with id, email and serialNumber, texts, and nothing else", i+1)
		}
		if one.ID != "" && !ids.MatchString(one.ID) {
			return nil, fmt.Errorf("line %d: %w", i+1, errID)
		}
		if one.Email == "" && one.SerialNumber == "" {
			return nil, fmt.Errorf("line %d: want email, serialNumber or both", i+1)
		}
		people = append(people, one)
	}
	if len(people) == 0 {
		return nil, errors.New("the file holds no request")
	}
	return people, nil
}

// who asks for the person, where the environment does not say who it is.
func (c client) who(id string) (person, error) {
	one := person{ID: id, Email: strings.TrimSpace(c.env("ERASE_EMAIL")), SerialNumber: strings.TrimSpace(c.env("ERASE_SERIAL"))}
	if one.Email == "" && one.SerialNumber == "" {
		for _, asked := range []struct {
			question string
			answer   *string
		}{{"E-mail address (empty: not known): ", &one.Email}, {"Serial number (empty: not known): ", &one.SerialNumber}} {
			fmt.Fprintf(c.ask, "%s", asked.question)
			line, err := c.in.ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return person{}, err
			}
			*asked.answer = strings.TrimSpace(line)
		}
	}
	if one.Email == "" && one.SerialNumber == "" {
		return person{}, errors.New("neither an e-mail address nor a serial number was given: nobody can be found by nothing")
	}
	return one, nil
}

// newID is a name that says when and nothing of whom.
func newID(now time.Time) string {
	random := make([]byte, 4)
	rand.Read(random) // never fails
	return now.UTC().Format("2006-01-02") + "-" + hex.EncodeToString(random)
}

// state is what is known of a request.
type state int

const (
	unknown state = iota
	asked         // and nothing is done yet
	erased        // and not proven
	proven
)

// stateOf looks a request up where its person is still named, and else among the certificates.
func (c client) stateOf(ctx context.Context, id string) (state, error) {
	content, err := c.get(ctx, contract.ErasurePending)
	if err != nil && !errors.Is(err, errNone) {
		return unknown, err
	}
	var pending map[string]json.RawMessage
	if len(content) > 0 {
		if err := json.Unmarshal(content, &pending); err != nil {
			return unknown, errors.New(contract.ErasurePending + " is not what the job writes")
		}
	}
	if pending[id] != nil {
		return erased, nil
	}
	keys, err := c.list(ctx, requests)
	if err != nil {
		return unknown, err
	}
	for _, key := range keys {
		if content, err = c.get(ctx, key); err != nil {
			return unknown, err
		}
		if named(content, id) {
			return asked, nil
		}
	}
	if keys, err = c.list(ctx, certificates(id)); len(keys) > 0 {
		return proven, err
	}
	return unknown, err
}

// named tells whether a line of a request object has the id.
func named(content []byte, id string) bool {
	return slices.ContainsFunc(bytes.Split(content, []byte("\n")), func(line []byte) bool {
		var one person
		return json.Unmarshal(line, &one) == nil && one.ID == id
	})
}
