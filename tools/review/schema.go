package main

import (
	"fmt"
	"slices"
	"strings"

	"stedi-lakehouse/internal/contract"
)

// schemaFindings compare the contracts. Compatible is what every reader and every file of before can live with.
func schemaFindings(base, head contract.Set) []finding {
	var found []finding
	before, after := byTable(base), byTable(head)
	for _, table := range union(before, after) {
		old, made := before[table], after[table]
		say := func(compatible bool, format string, args ...any) {
			one := finding{Section: onSchema, Where: "`" + table + "`", Text: fmt.Sprintf(format, args...)}
			if compatible {
				one.Text += " (compatible)"
			} else {
				one.Verb = breaks
			}
			found = append(found, one)
		}
		switch {
		case old.Table == "":
			say(true, "new table, %s%s", count(len(made.Columns), "column", "columns"), personalText(made.PersonalData))
		case made.Table == "":
			say(false, "table is dropped: what reads it fails")
		default:
			compareTables(old, made, say)
		}
	}
	return found
}

func byTable(set contract.Set) map[string]contract.Contract {
	tables := map[string]contract.Contract{}
	for _, table := range set {
		tables[table.Table] = table
	}
	return tables
}

func personalText(personal bool) string {
	if personal {
		return ", personal"
	}
	return ""
}

func compareTables(old, made contract.Contract, say func(bool, string, ...any)) {
	if old.Format != made.Format {
		say(false, "format %s becomes %s", old.Format, made.Format)
	}
	if old.PersonalData != made.PersonalData {
		say(made.PersonalData, "personal_data %t becomes %t", old.PersonalData, made.PersonalData)
	}
	if !slices.Equal(old.Key, made.Key) {
		say(false, "key (%s) becomes (%s)", strings.Join(old.Key, ", "), strings.Join(made.Key, ", "))
	}
	newest := 1
	columns := map[string]contract.Column{}
	for _, column := range old.Columns {
		columns[column.Name] = column
		newest = max(newest, column.Since)
	}
	kept := map[string]bool{}
	for _, column := range made.Columns {
		kept[column.Name] = true
		before, known := columns[column.Name]
		if known {
			compareColumns(made, before, column, say)
			continue
		}
		text := fmt.Sprintf("column `%s` %s is added%s", column.Name, column.Type, personalText(column.Personal))
		switch {
		case made.Format == contract.Iceberg && column.Since == 1:
			say(false, "%s with version 1, so it changes the table's frozen template: give it since %d", text, newest+1)
		case column.Required:
			say(false, "%s and required: rows of before have no value", text)
		default:
			say(true, "%s", text)
		}
	}
	for _, column := range old.Columns {
		if !kept[column.Name] {
			say(false, "column `%s` is removed", column.Name)
		}
	}
}

func compareColumns(table contract.Contract, old, made contract.Column, say func(bool, string, ...any)) {
	if old.Type != made.Type {
		// Files of JSON hold no types, so a wider type reads the same values. The jobs add columns to Iceberg tables, they do not alter them.
		wider := table.Format == contract.JSON && old.Type == "int" && made.Type == "bigint"
		say(wider, "column `%s`: type %s becomes %s", made.Name, old.Type, made.Type)
	}
	if old.JSONKey() != made.JSONKey() {
		say(false, "column `%s`: is read from `%s`, so far from `%s`", made.Name, made.JSONKey(), old.JSONKey())
	}
	if old.Required != made.Required {
		say(!made.Required, "column `%s`: required %t becomes %t", made.Name, old.Required, made.Required)
	}
	if old.Personal != made.Personal {
		say(made.Personal, "column `%s`: personal %t becomes %t", made.Name, old.Personal, made.Personal)
	}
	if old.Since != made.Since {
		say(false, "column `%s`: since %d becomes %d", made.Name, old.Since, made.Since)
	}
}
