package stacks

import (
	"embed"
	"fmt"
	"strings"

	"stedi-lakehouse/constructs/catalogtable"
	"stedi-lakehouse/constructs/workgroup"
	"stedi-lakehouse/internal/contract"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// queryZones are the zones whose rows a saved query counts.
var queryZones = []string{contract.Landing, contract.Quarantine, contract.Trusted, contract.Curated}

// savedQueries are what people find in the workgroup: how to create the landing tables anew, how many rows there are, and what the
// gates did.
func savedQueries(contracts contract.Set, database, lake string) []workgroup.Query {
	var queries []workgroup.Query
	for _, table := range contracts {
		if table.Zone == contract.Landing {
			queries = append(queries, workgroup.Query{
				ID:          "Create" + pascalCase(table.Table) + "Query",
				Name:        "create " + table.Table,
				Description: "Makes the catalog entry of " + table.Table + " anew, should somebody have dropped it; its files stay as they are.",
				SQL:         catalogtable.CreateStatement(table, database, lake),
			})
		}
	}
	for _, zone := range queryZones {
		queries = append(queries, workgroup.Query{
			ID:          "Count" + pascalCase(zone) + "Query",
			Name:        "count " + zone,
			Description: "Rows of every " + zone + " table.",
			SQL:         countRows(contracts, zone),
		})
	}
	return append(queries,
		fromFile("ledger_last_run", "What became of the rows in the last run of each job."),
		fromFile("consent_funnel", "How many people are left at each gate."),
		fromFile("join_on_time_alone", "How many rows the join on the time alone takes from two people (decision 0005)."),
	)
}

// countRows counts the rows of every table of a zone.
func countRows(contracts contract.Set, zone string) string {
	var counts []string
	for _, table := range contracts {
		if table.Zone == zone {
			counts = append(counts, fmt.Sprintf("select '%[1]s' as table_name, count(*) as row_count from %[1]s", table.Table))
		}
	}
	return strings.Join(counts, "\nunion all\n") + "\norder by table_name"
}

// fromFile is the query in queries/<file>.sql.
func fromFile(file, description string) workgroup.Query {
	text, err := queryFiles.ReadFile("queries/" + file + ".sql")
	if err != nil {
		panic(fmt.Sprintf("saved query %s: %v", file, err))
	}
	return workgroup.Query{
		ID: pascalCase(file) + "Query", Name: strings.ReplaceAll(file, "_", " "), Description: description, SQL: string(text),
	}
}
