// Package zoneflow checks that data can only move as it should: it computes from the synthesized policies which role may do what with
// which table, with the results of which workgroup, and with the tables that readers make, and compares that with what the roles are for. Landing is read by gates only, and trusted is written by gates only,
// so that nothing gets past the consent of the people it is about. main.go asks it at the end of every synthesis, tools/checks for
// every variant of a stage, tools/review what somebody gains from one version to the next.
package zoneflow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
)

// Grant is what one holder of rights is meant to do. It is all that the holder may do.
type Grant struct {
	// Holder is "job NAME" for the role of a Glue job, the logical id of another role, or the name of a service. It may hold the
	// wildcard *.
	Holder string
	Rights map[string][]Right // by table, ResultsOf a workgroup, TablesIn a scratch database, and Object
	// Upkeep marks a holder that rewrites or deletes the rows of tables without adding any: it may write trusted tables without
	// being their gate, and read what was delivered if it is the one that takes people out of it.
	Upkeep bool
}

// Reader are the rights of who reads a table; Writer, of who writes it; Remover, of who may only delete its files. Asker are the rights
// of a workgroup's role on its results; Maker, on the catalog entries in its scratch database. Keeper are those of who keeps an object of
// its own. Searcher are those of who looks whether people are in objects or versions of them; Purger may delete these too, and Eraser
// rewrite them.
var (
	Reader   = []Right{Read, List, See}
	Writer   = []Right{Read, List, See, Write, Delete, Change}
	Remover  = []Right{List, Delete, DeleteVersions, Administer}
	Asker    = []Right{Read, List, Write, Delete}
	Maker    = []Right{See, Change, Drop}
	Keeper   = []Right{Read, List, Write}
	Searcher = []Right{Read, ReadVersions, List}
	Purger   = append(slices.Clone(Searcher), Delete, DeleteVersions)
	Eraser   = append(slices.Clone(Purger), Write)
)

// Check compares the rights that the app's policies give with the grants. The error names every statement that gives more, every
// right that is missing, and every grant that gets data past a gate.
func Check(app cloud.Assembly, contracts contract.Set, grants []Grant) error {
	found, ofTables, err := targets(app)
	if err != nil {
		return err
	}
	var mistakes []string
	mistakes = append(mistakes, undeclared(ofTables, contracts)...)
	mistakes = append(mistakes, unseen(app)...)
	mistakes = append(mistakes, gates(contracts, grants)...)
	mistakes = append(mistakes, erasers(contracts, grants)...)
	given := rights(app, slices.Concat(found, beside(found)), alone(grants), holders(app))
	for _, holder := range slices.Sorted(maps.Keys(given)) {
		mistakes = append(mistakes, excess(holder, given[holder], wanted(holder, grants))...)
	}
	mistakes = append(mistakes, missing(given, grants)...)
	if len(mistakes) == 0 {
		return nil
	}
	errs := []error{errors.New("zone flow: the policies do not give what the roles are for (grants in stacks/zoneflow.go)")}
	for _, mistake := range mistakes {
		errs = append(errs, errors.New("- "+mistake))
	}
	return errors.Join(errs...)
}

// undeclared finds tables without a contract: nobody has said in which zone they are.
func undeclared(tables []target, contracts contract.Set) []string {
	var mistakes []string
	for _, table := range tables {
		if declared, err := contracts.Get(table.name); err != nil {
			mistakes = append(mistakes, fmt.Sprintf("table %s has no contract", table.name))
		} else if want := declared.Prefix() + "/"; table.prefix != want {
			mistakes = append(mistakes, fmt.Sprintf("table %s is at %q in the lake, its contract says %q", table.name, table.prefix, want))
		}
	}
	return mistakes
}

// unseen finds what gives rights that this package cannot compute.
func unseen(app cloud.Assembly) []string {
	var mistakes []string
	for _, stack := range app {
		for _, id := range slices.Sorted(maps.Keys(stack.Resources)) {
			resource := stack.Resources[id]
			if strings.HasPrefix(resource.Type, "AWS::LakeFormation::") || resource.Type == "AWS::S3::AccessPoint" || resource.Type == "AWS::Glue::ResourcePolicy" {
				mistakes = append(mistakes, fmt.Sprintf("%s of stack %s is a %s, whose rights are not computed", id, stack.Name, resource.Type))
			}
			if resource.Type != "AWS::IAM::Role" && resource.Type != "AWS::IAM::User" && resource.Type != "AWS::IAM::Group" {
				continue
			}
			for _, arn := range app.Texts(stack, resource.Properties["ManagedPolicyArns"]) {
				if !strings.HasPrefix(arn, "${"+stack.Name+".") {
					mistakes = append(mistakes, fmt.Sprintf("role %s of stack %s has the managed policy %s, whose rights are not computed", id, stack.Name, arn))
				}
			}
		}
	}
	return append(mistakes, escalations(app)...)
}

// escalations finds statements by which a holder comes to rights that are not its own.
func escalations(app cloud.Assembly) []string {
	var mistakes []string
	for _, policy := range giving(app) {
		for _, statement := range policy.Statements {
			if action, given := firstMatch(statement, beyond); given && statement.Effect == "Allow" {
				mistakes = append(mistakes, fmt.Sprintf("statement %s (%s) of stack %s allows %s, by which more rights come than are computed",
					statement.Sid, policyName(policy), policy.Stack, action))
			}
		}
	}
	return mistakes
}

// gates finds grants that get data past a gate. The gate of a source is the one holder that reads <source>_landing and writes
// <source>_trusted.
func gates(contracts contract.Set, grants []Grant) []string {
	var mistakes []string
	for _, landing := range contracts {
		if landing.Zone != contract.Landing {
			continue
		}
		trusted := landing.Source + "_" + contract.Trusted
		var found []string
		for _, grant := range grants {
			erases := grant.Upkeep && slices.Contains(grant.Rights[landing.Table], DeleteVersions)
			reads := slices.Contains(grant.Rights[landing.Table], Read) && !erases
			writes := slices.Contains(grant.Rights[trusted], Write) && !grant.Upkeep
			switch {
			case reads && writes:
				found = append(found, grant.Holder)
			case reads:
				mistakes = append(mistakes, fmt.Sprintf("%s reads %s but does not write %s: only the gate of %s may read what was delivered",
					grant.Holder, landing.Table, trusted, landing.Source))
			case writes:
				mistakes = append(mistakes, fmt.Sprintf("%s writes %s but does not read %s: only the gate of %s may write what is trusted",
					grant.Holder, trusted, landing.Table, landing.Source))
			}
		}
		if len(found) != 1 {
			mistakes = append(mistakes, fmt.Sprintf("%s has %d gates %q, want one", landing.Source, len(found), found))
		}
	}
	return mistakes
}

// erasers finds grants to change what was delivered, or to delete what tables were before, where nobody but one holder may: the one
// that erases people. Who only deletes, with all the bucket, is none.
func erasers(contracts contract.Set, grants []Grant) []string {
	var mistakes, found []string
	for _, grant := range grants {
		var changed []string
		for _, table := range contracts {
			rights := grant.Rights[table.Table]
			change := table.Zone == contract.Landing && (slices.Contains(rights, Write) || slices.Contains(rights, Delete))
			if (change || slices.Contains(rights, DeleteVersions)) && !slices.Contains(rights, Administer) {
				changed = append(changed, table.Table)
			}
		}
		switch {
		case len(changed) == 0:
		case !grant.Upkeep:
			mistakes = append(mistakes, fmt.Sprintf("%s changes what was delivered, or deletes versions, of %q: only who erases people may", grant.Holder, changed))
		default:
			found = append(found, grant.Holder)
		}
	}
	if len(found) > 1 {
		mistakes = append(mistakes, fmt.Sprintf("%q erase people, want one holder at most", found))
	}
	return mistakes
}

// wanted is the grant of a holder; without one it may do nothing.
func wanted(holder string, grants []Grant) Grant {
	for _, grant := range grants {
		if grant.Holder == holder {
			return grant
		}
	}
	for _, grant := range grants {
		if strings.Contains(grant.Holder, "*") && cloud.Overlap(grant.Holder, holder) {
			return grant
		}
	}
	return Grant{}
}

func (g Grant) allows(place string, right Right) bool {
	return slices.Contains(g.Rights[place], right)
}

func excess(holder string, places map[string]map[Right]source, grant Grant) []string {
	var mistakes []string
	for _, place := range slices.Sorted(maps.Keys(places)) {
		for _, right := range slices.Sorted(maps.Keys(places[place])) {
			if by := places[place][right]; !grant.allows(place, right) {
				mistakes = append(mistakes, fmt.Sprintf("%s may %s %s and must not: statement %s (%s) allows %s on %s",
					holder, right, place, by.sid, policyName(by.policy), by.action, by.resource))
			}
		}
	}
	return mistakes
}

// missing finds what a holder needs and does not have. A grant with a wildcard asks for nothing: nobody may match it.
func missing(given matrix, grants []Grant) []string {
	var mistakes []string
	for _, grant := range grants {
		if strings.Contains(grant.Holder, "*") {
			continue
		}
		for _, table := range slices.Sorted(maps.Keys(grant.Rights)) {
			for _, right := range grant.Rights[table] {
				if _, has := given[grant.Holder][table][right]; !has {
					mistakes = append(mistakes, fmt.Sprintf("%s may not %s %s and needs to", grant.Holder, right, table))
				}
			}
		}
	}
	return mistakes
}
