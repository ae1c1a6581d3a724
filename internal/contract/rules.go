package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// numericTypes are the types that have an order which accepted_range can speak of.
var numericTypes = []string{"int", "bigint", "double"}

// column is a column by its name; false when the table has none of that name.
func (c Contract) column(name string) (Column, bool) {
	position := slices.IndexFunc(c.Columns, func(column Column) bool { return column.Name == name })
	if position < 0 {
		return Column{}, false
	}
	return c.Columns[position], true
}

func (c Contract) checkLimits(found *findings) {
	if c.Limits == nil {
		return
	}
	found.when(c.Zone != Landing, "limits is allowed in zone %s only", Landing)
	c.checkTimes(found, "limits.future_ms", c.Limits.FutureMS)
	c.checkTimes(found, "limits.earliest_ms", c.Limits.EarliestMS)
	if share := c.Limits.QuarantinedShare; share != nil {
		found.when(*share < 0 || *share > 1, "limits.quarantined_share is %v, want a part of the rows from 0 to 1", *share)
	}
	if unnamed := c.Limits.UnnamedShare; unnamed != nil {
		found.when(*unnamed < 0 || *unnamed > 1, "limits.unnamed_share is %v, want a part of the rows from 0 to 1", *unnamed)
		found.when(!slices.ContainsFunc(c.Columns, func(column Column) bool { return column.Kind == Email }),
			"limits.unnamed_share: no column has kind %s, so no row names anybody", Email)
	}
}

// checkTimes checks a limit that is given in ms by column.
func (c Contract) checkTimes(found *findings, limit string, given map[string]int) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		found.when(given[name] < 0, "%s: column %q: got %d ms, want 0 or more", limit, name, given[name])
		column, declared := c.column(name)
		found.when(!declared, "%s: column %q is not declared", limit, name)
		found.when(declared && column.Kind != EventTime && column.Kind != ConsentTime,
			"%s: column %q has kind %q, want a time: %s or %s", limit, name, column.Kind, EventTime, ConsentTime)
	}
}

func (c Contract) checkKind(found *findings, column Column) {
	if column.Kind == "" {
		return
	}
	want, known := kindTypes[column.Kind]
	found.when(!known, "column %q: kind is %q, allowed: %s", column.Name, column.Kind, strings.Join(slices.Sorted(maps.Keys(kindTypes)), ", "))
	found.when(known && column.Type != want, "column %q: kind %s is allowed for type %s only, this is a %s", column.Name, column.Kind, want, column.Type)
	found.when(c.Zone != Landing && c.Zone != Requests, "column %q: kind is allowed in zone %s only", column.Name, Landing)
	found.when(column.Kind == Email && !column.Personal, "column %q: kind %s names a person, so it must be personal", column.Name, Email)
}

func (c Contract) checkChecks(found *findings) {
	found.when(c.Checks != nil && c.Format != Iceberg, "checks is allowed in format %s only", Iceberg)
	for i, check := range c.Checks {
		for _, mistake := range c.checkCheck(check) {
			found.when(true, "checks[%d]: %w", i, mistake)
		}
	}
}

func (c Contract) checkCheck(check Check) []error {
	found := &findings{}
	kinds := []string{AcceptedRange, AcceptedValues, Relationships}
	if !slices.Contains(kinds, check.Check) {
		found.when(true, "check is %q, allowed: %s", check.Check, strings.Join(kinds, ", "))
		return found.errors // what else belongs to it is not known
	}
	check.refuseKeysOfOthers(found)
	column, declared := c.column(check.Column)
	found.when(!declared, "column %q is not declared", check.Column)
	switch check.Check {
	case AcceptedRange:
		found.when(declared && !slices.Contains(numericTypes, column.Type), "accepted_range of column %q of type %s, want one of: %s",
			check.Column, column.Type, strings.Join(numericTypes, ", "))
		found.when(check.Min == nil && check.Max == nil, "accepted_range without min and max, want one of them or both")
		found.when(check.Min != nil && check.Max != nil && *check.Min > *check.Max, "accepted_range with a min greater than its max")
	case AcceptedValues:
		found.when(declared && column.Type != "string", "accepted_values of column %q of type %s, want a string", check.Column, column.Type)
		found.when(len(check.Values) == 0, "accepted_values without values")
		for i, value := range check.Values {
			found.when(slices.Contains(check.Values[:i], value), "accepted_values: value %q is given twice", value)
		}
	case Relationships:
		found.when(!names.MatchString(check.To), "relationships to %q, want the name of a table or of a shared SELECT", check.To)
		found.when(!names.MatchString(check.Field), "relationships to %s with field %q, want the name of a column there", check.To, check.Field)
	}
	return found.errors
}

// refuseKeysOfOthers finds keys that the kind of check would silently ignore.
func (check Check) refuseKeysOfOthers(found *findings) {
	for _, key := range []struct {
		name  string
		given bool
		of    string
	}{
		{"min", check.Min != nil, AcceptedRange},
		{"max", check.Max != nil, AcceptedRange},
		{"values", check.Values != nil, AcceptedValues},
		{"to", check.To != "", Relationships},
		{"field", check.Field != "", Relationships},
	} {
		found.when(key.given && check.Check != key.of, "%s has no %s; only %s has", check.Check, key.name, key.of)
	}
}

// checkRelationships looks up the tables that a contract's checks refer to. A name without a contract is that of a shared SELECT.
func (s Set) checkRelationships(c Contract) []error {
	found := &findings{}
	for i, check := range c.Checks {
		target, err := s.Get(check.To)
		if check.Check != Relationships || err != nil {
			continue
		}
		_, declared := target.column(check.Field)
		found.when(!declared, "%s.json: checks[%d]: field %q is not a column of table %s", c.Table, i, check.Field, check.To)
	}
	return found.errors
}

func (c Contract) checkLayout(found *findings) {
	if c.Layout == nil {
		return
	}
	found.when(c.Format != Iceberg, "layout is allowed in format %s only", Iceberg)
	found.when(len(c.Layout.Sort) == 0, "layout.sort is empty, want columns")
	for i, name := range c.Layout.Sort {
		_, declared := c.column(name)
		found.when(!declared, "layout.sort: column %q is not declared", name)
		found.when(slices.Contains(c.Layout.Sort[:i], name), "layout.sort: column %q is given twice", name)
	}
}

type findings struct{ errors []error }

func (f *findings) when(wrong bool, format string, arguments ...any) {
	if wrong {
		f.errors = append(f.errors, fmt.Errorf(format, arguments...))
	}
}
