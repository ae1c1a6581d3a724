// Package strictjson decodes JSON that people write by hand. Unlike encoding/json it refuses unknown, repeated, missing and
// null keys, and its errors say where the mistake is and what is allowed there. It reads the stages of cdk.json, the contracts, and the
// approvals of unsafe changes.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strings"
)

// Error is a mistake at one place of a document.
type Error struct {
	Path    string // place in the document, e.g. "columns[2].type"; empty for the document itself
	Message string // what was found and what is allowed
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// Unmarshal decodes data into the struct or map that target points to. A struct field is required unless its json tag has
// omitempty or omitzero. Every mistake of the document is reported: the error joins one *Error for each.
func Unmarshal(data []byte, target any) error {
	checker := &checker{decoder: json.NewDecoder(bytes.NewReader(data))}
	checker.decoder.UseNumber()
	if err := checker.value(reflect.TypeOf(target).Elem(), ""); err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	if _, err := checker.decoder.Token(); !errors.Is(err, io.EOF) {
		checker.report("", "more text follows the JSON value, want a single value")
	}
	if len(checker.mistakes) > 0 {
		return errors.Join(checker.mistakes...)
	}
	return json.Unmarshal(data, target)
}

// checker walks a document next to the Go type it is to fill. Its methods return an error only for text that is not JSON;
// everything else is collected, so that a file with three mistakes needs one attempt, not three.
type checker struct {
	decoder  *json.Decoder
	mistakes []error
}

func (c *checker) report(path, format string, arguments ...any) {
	c.mistakes = append(c.mistakes, &Error{Path: path, Message: fmt.Sprintf(format, arguments...)})
}

// value checks the next value. A nil type means that the place is already reported and the value is only skipped.
func (c *checker) value(want reflect.Type, path string) error {
	token, err := c.decoder.Token()
	if err != nil {
		return endOfText(err)
	}
	if want != nil && want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	switch token {
	case json.Delim('{'):
		return c.object(want, path)
	case json.Delim('['):
		return c.array(want, path)
	}
	c.scalar(want, path, token)
	return nil
}

func (c *checker) object(want reflect.Type, path string) error {
	if want != nil && want.Kind() != reflect.Struct && want.Kind() != reflect.Map {
		c.report(path, "got an object, want %s", describe(want))
		want = nil
	}
	fields := fieldsOf(want)
	seen := map[string]bool{}
	for c.decoder.More() {
		token, err := c.decoder.Token()
		if err != nil {
			return endOfText(err)
		}
		key := token.(string) // the decoder accepts nothing else as a key
		place := join(path, key)
		if seen[key] {
			c.report(place, "the key is given twice")
		}
		seen[key] = true
		if err := c.value(c.member(want, fields, key, place), place); err != nil {
			return err
		}
	}
	for _, field := range fields {
		if field.required && !seen[field.name] {
			c.report(join(path, field.name), "missing; it is required")
		}
	}
	return c.skipClosing()
}

// member is the type of one key's value, nil when the key is unknown (and now reported).
func (c *checker) member(want reflect.Type, fields []field, key, place string) reflect.Type {
	if want == nil {
		return nil
	}
	if want.Kind() == reflect.Map {
		return want.Elem()
	}
	names := make([]string, 0, len(fields))
	for _, field := range fields {
		if field.name == key {
			return field.kind
		}
		names = append(names, field.name)
	}
	c.report(place, "unknown key; allowed: %s", strings.Join(names, ", "))
	return nil
}

func (c *checker) array(want reflect.Type, path string) error {
	var element reflect.Type
	switch {
	case want == nil:
	case want.Kind() == reflect.Slice:
		element = want.Elem()
	default:
		c.report(path, "got a list, want %s", describe(want))
	}
	for i := 0; c.decoder.More(); i++ {
		if err := c.value(element, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return c.skipClosing()
}

func (c *checker) scalar(want reflect.Type, path string, token json.Token) {
	if want == nil || fits(want, token) {
		return
	}
	text, err := json.Marshal(token)
	if err != nil {
		text = fmt.Appendf(nil, "%v", token)
	}
	c.report(path, "got %s, want %s", text, describe(want))
}

func (c *checker) skipClosing() error {
	_, err := c.decoder.Token()
	return endOfText(err)
}

func fits(want reflect.Type, token json.Token) bool {
	switch token := token.(type) {
	case string:
		return want.Kind() == reflect.String
	case bool:
		return want.Kind() == reflect.Bool
	case json.Number:
		if want.Kind() == reflect.Float64 {
			return true
		}
		_, whole := new(big.Int).SetString(token.String(), 10)
		return want.Kind() == reflect.Int && whole
	}
	return false // null
}

func describe(want reflect.Type) string {
	switch want.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

type field struct {
	name     string
	required bool
	kind     reflect.Type
}

// fieldsOf lists the JSON keys of a struct in the order in which they are written there; nothing for other types.
func fieldsOf(structure reflect.Type) []field {
	if structure == nil || structure.Kind() != reflect.Struct {
		return nil
	}
	var fields []field
	for i := range structure.NumField() {
		member := structure.Field(i)
		name, options, _ := strings.Cut(member.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields = append(fields, field{name: name, required: !strings.Contains(options, "omit"), kind: member.Type})
	}
	return fields
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// endOfText tells a document that stops too early from one that is wrong in the middle.
func endOfText(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
