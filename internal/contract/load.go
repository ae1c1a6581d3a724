package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"stedi-lakehouse/internal/strictjson"
)

// names are lower-case because Glue and Athena fold names to lower case.
var names = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// columnPlace finds the position of a column in a path such as "columns[2].type".
var columnPlace = regexp.MustCompile(`^columns\[(\d+)\]`)

// eachSource are the tables that a source has beside those with a file of their own: written once, with <source> for its name.
const eachSource = "contracts/each_source/"

// Load reads and checks every contracts/*.json of a file system, and adds the tables that follow from those: for each landing
// table its quarantine, and for readings their index, as contracts/each_source describes them. The error lists every mistake
// found, each with its file and, where there is one, its column.
func Load(files fs.FS) (Set, error) {
	paths, err := fs.Glob(files, "contracts/*.json")
	if err != nil {
		return nil, fmt.Errorf("listing contracts: %w", err)
	}
	if len(paths) == 0 {
		return nil, errors.New("contracts/: no *.json file, want one for each table")
	}
	var set Set
	var mistakes []error
	for _, path := range paths {
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, fmt.Errorf("reading contract: %w", err)
		}
		contract, err := parse(path, text)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		set = append(set, contract)
	}
	followers, err := Followers(files, set)
	if err != nil {
		return nil, fmt.Errorf("reading contract: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(followers)) {
		contract, err := parse(name, followers[name])
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", eachSource, err))
			continue
		}
		set = append(set, contract)
	}
	slices.SortFunc(set, func(a, b Contract) int { return strings.Compare(a.Table, b.Table) })
	for _, contract := range set {
		mistakes = append(mistakes, set.describe(contract)...)
		mistakes = append(mistakes, set.checkRelationships(contract)...)
		mistakes = append(mistakes, set.checkJobs(contract)...)
	}
	if len(mistakes) == 0 {
		_, err := set.JobsInOrder()
		mistakes = append(mistakes, err)
	}
	return set, errors.Join(mistakes...)
}

// Followers are the contracts, by file name, that follow from those of a set: of the tables that every source has.
func Followers(files fs.FS, set Set) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, contract := range set {
		for _, zone := range contract.followedBy() {
			text, err := fs.ReadFile(files, eachSource+zone+".json")
			if err != nil {
				return nil, err
			}
			found[contract.Source+"_"+zone+".json"] = []byte(strings.ReplaceAll(string(text), "<source>", contract.Source))
		}
	}
	return found, nil
}

// followedBy are the zones whose tables follow from this one.
func (c Contract) followedBy() []string {
	switch {
	case c.Zone == Landing || c.Zone == Requests:
		return []string{Quarantine}
	case c.Job != nil && c.Job.Kind == Readings:
		return []string{Index}
	}
	return nil
}

// describe gives a contract's columns the descriptions of those that they are like.
func (s Set) describe(c Contract) []error {
	found := &findings{}
	for i, column := range c.Columns {
		if column.Like == "" {
			continue
		}
		table, name, _ := strings.Cut(column.Like, ".")
		other, err := s.Get(table)
		if err != nil {
			found.when(true, "%s.json: column %q: like: %w", c.Table, column.Name, err)
			continue
		}
		described, _ := other.column(name)
		found.when(described.Description == "" || described.Like != "",
			"%s.json: column %q: is like %q, want <table>.<column> with a description of its own", c.Table, column.Name, column.Like)
		found.when(described.Type != "" && described.Type != column.Type,
			"%s.json: column %q: has type %s, and is like %s of type %s", c.Table, column.Name, column.Type, column.Like, described.Type)
		c.Columns[i].Description = described.Description
	}
	return found.errors
}

func parse(name string, text []byte) (Contract, error) {
	var contract Contract
	mistakes := unjoin(strictjson.Unmarshal(text, &contract))
	if len(mistakes) == 0 {
		mistakes = contract.mistakes(path.Base(name))
	}
	for i, mistake := range mistakes {
		mistakes[i] = fmt.Errorf("%s: %w", path.Base(name), nameColumn(mistake, text))
	}
	return contract, errors.Join(mistakes...)
}

// unjoin takes apart what errors.Join made.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// nameColumn adds the column's name to a mistake that knows only its position.
func nameColumn(mistake error, text []byte) error {
	var strict *strictjson.Error
	if !errors.As(mistake, &strict) {
		return mistake
	}
	match := columnPlace.FindStringSubmatch(strict.Path)
	if match == nil {
		return mistake
	}
	var loose struct {
		Columns []struct {
			Name any `json:"name"`
		} `json:"columns"`
	}
	position, err := strconv.Atoi(match[1])
	if json.Unmarshal(text, &loose) != nil || err != nil || position >= len(loose.Columns) {
		return mistake
	}
	return fmt.Errorf("column %q: %w", fmt.Sprint(loose.Columns[position].Name), mistake)
}

// mistakes checks what the JSON syntax cannot say.
func (c Contract) mistakes(file string) []error {
	found := &findings{}
	c.checkTable(found, file)
	c.checkKey(found)
	seenColumns, seenKeys := map[string]bool{}, map[string]bool{}
	for _, column := range c.Columns {
		c.checkColumn(found, column)
		found.when(seenColumns[column.Name], "column %q: declared twice", column.Name)
		// The JSON reader of the landing tables does not tell upper from lower case.
		jsonKey := strings.ToLower(column.JSONKey())
		found.when(seenKeys[jsonKey] && !seenColumns[column.Name],
			"column %q: JSON key %q already belongs to another column", column.Name, column.JSONKey())
		seenColumns[column.Name], seenKeys[jsonKey] = true, true
	}
	c.checkLimits(found)
	c.checkChecks(found)
	c.checkLayout(found)
	c.checkJob(found)
	return found.errors
}

func (c Contract) checkTable(found *findings, file string) {
	found.when(file != c.Table+".json", "table is %q, want the file's name without .json", c.Table)
	found.when(!names.MatchString(c.Source), "source is %q, want lower-case letters, digits and _", c.Source)
	found.when(c.Description == "", "description is empty")
	if !slices.Contains(zones, c.Zone) {
		found.when(true, "zone is %q, allowed: %s", c.Zone, strings.Join(zones, ", "))
		return // what follows would only repeat it
	}
	found.when(c.Table != c.Source+"_"+c.Zone, "table is %q, want <source>_<zone>: %q", c.Table, c.Source+"_"+c.Zone)
	allowed := formats(c.Zone)
	found.when(!slices.Contains(allowed, c.Format), `format is %q, want "%s" in zone %s`, c.Format, strings.Join(allowed, `" or "`), c.Zone)
	found.when(len(c.Columns) == 0, "columns is empty")
	personal := slices.ContainsFunc(c.Columns, func(column Column) bool { return column.Personal })
	found.when(c.PersonalData && !personal, "personal_data is true, but no column is marked personal")
}

func (c Contract) checkKey(found *findings) {
	found.when(len(c.Key) == 0, "key is empty, want the columns that identify a row")
	seen := map[string]bool{}
	for _, name := range c.Key {
		found.when(seen[name], "key: column %q is given twice", name)
		seen[name] = true
		column, declared := c.column(name)
		if !declared {
			found.when(true, "key: column %q is not declared", name)
			continue
		}
		found.when(!column.Required, "column %q: is part of the key, so it must be required", name)
		found.when(column.Since > 1, "column %q: is part of the key, so it cannot be added later (since %d)", name, column.Since)
	}
}

func (c Contract) checkColumn(found *findings, column Column) {
	found.when(!names.MatchString(column.Name), "column %q: want lower-case letters, digits and _", column.Name)
	found.when(!slices.Contains(columnTypes, column.Type), "column %q: type is %q, allowed: %s",
		column.Name, column.Type, strings.Join(columnTypes, ", "))
	found.when(column.Description == "" && column.Like == "",
		"column %q: description is empty, want one, or like: the <table>.<column> that has it", column.Name)
	found.when(column.Description != "" && column.Like != "",
		"column %q: has a description and is like %s, want one of them", column.Name, column.Like)
	found.when(column.Since < 1, "column %q: since is %d, want a contract version from 1 on", column.Name, column.Since)
	found.when(column.Required && column.Since > 1,
		"column %q: is added later (since %d), so it cannot be required: rows written before have no value", column.Name, column.Since)
	found.when(column.Personal && !c.PersonalData,
		"column %q: is personal, but the table is declared free of personal data (personal_data false)", column.Name)
	found.when(column.Pseudonym && column.Personal, "column %q: is a pseudonym, so it is not personal", column.Name)
	c.checkKind(found, column)
	found.when(column.Field != "" && c.Format != JSON, "column %q: field is allowed in format %s only", column.Name, JSON)
}
