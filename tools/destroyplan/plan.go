package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
)

// fate is what becomes of a resource when its stack is destroyed.
type fate string

const (
	deleted fate = "deleted"
	later   fate = "deleted later"
	kept    fate = "kept"
	blocked fate = "blocked"
)

// line is the fate of one resource.
type line struct {
	stack    string
	resource string // logical id
	what     string // type
	fate     fate
	why      string
	data     bool // it holds data, or what data is read with
}

// plan tells the fate of every resource of the app, in the order in which the stacks are named. Nothing is asked of AWS: whether a
// bucket is empty, or protection was switched off by hand, it does not know.
func plan(app cloud.Assembly) []line {
	var lines []line
	for _, stack := range app {
		for _, id := range slices.Sorted(maps.Keys(stack.Resources)) {
			resource := stack.Resources[id]
			made := line{stack: stack.Name, resource: id, what: resource.Type, data: cloud.HoldsData(resource.Type)}
			made.fate, made.why = fateOf(app, stack, id)
			if stack.Protected {
				made.why = "termination protection of the stack" + then(made)
				made.fate = blocked
			}
			lines = append(lines, made)
			if holdsErasure(app, stack, id) {
				lines = append(lines, line{
					stack: stack.Name, resource: contract.ErasureSecret, what: "object of " + id, fate: made.fate, data: true,
					why: "goes and stays with its bucket, as the erasure ledger does. Without either nobody is known to be erased: who is delivered again comes in",
				})
			}
			if left := leftBehind(app, stack, id); left != "" {
				lines = append(lines, line{stack: stack.Name, resource: left, what: "AWS::Logs::LogGroup", fate: kept,
					why: "made by the function " + id + " itself, so no stack deletes it", data: true})
			}
		}
	}
	return lines
}

// then is what would follow once the stack's protection is off.
func then(unprotected line) string {
	switch {
	case unprotected.why != "":
		return fmt.Sprintf("; without it %s: %s", unprotected.fate, unprotected.why)
	case unprotected.fate != deleted:
		return fmt.Sprintf("; without it %s", unprotected.fate)
	}
	return ""
}

func fateOf(app cloud.Assembly, stack cloud.Stack, id string) (fate, string) {
	resource := stack.Resources[id]
	if strings.HasPrefix(resource.DeletionPolicy, "Retain") {
		return kept, "deletion policy " + resource.DeletionPolicy
	}
	switch resource.Type {
	case "AWS::S3::Bucket":
		if !emptied(app, stack, id) {
			return blocked, "while objects are in it"
		}
		return deleted, "with its objects, which a function of the CDK deletes first"
	case "AWS::Glue::Database":
		// Glue takes the tables of a deleted database away by itself, the stack's or not:
		// https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteDatabase.html
		return deleted, "with the catalog entries of all tables in it"
	case "AWS::KMS::Key":
		days := resource.Properties["PendingWindowInDays"]
		if days == nil {
			days = 30
		}
		return later, fmt.Sprintf("AWS keeps a deleted key for %v days, in which it can be called back; it costs nothing then", days)
	case "AWS::Athena::WorkGroup":
		if resource.Properties["RecursiveDeleteOption"] != true {
			return blocked, "while saved queries or a history are in it"
		}
		return deleted, "with saved queries and history"
	case "AWS::EC2::SecurityGroup", "AWS::EC2::Subnet":
		return deleted, "waits while network interfaces of the last job run are still there, up to an hour"
	}
	return deleted, ""
}

// holdsErasure says whether the bucket is that of the erasure ledger, and so of the key of its hashes.
func holdsErasure(app cloud.Assembly, stack cloud.Stack, bucket string) bool {
	if stack.Resources[bucket].Type != "AWS::S3::Bucket" {
		return false
	}
	name := app.Text(stack, map[string]any{"Ref": bucket})
	return slices.ContainsFunc(stack.OfType("AWS::Glue::Table"), func(id string) bool {
		table := stack.Resources[id]
		location := app.Text(stack, table.Get("TableInput", "StorageDescriptor", "Location"))
		return app.Text(stack, table.Get("TableInput", "Name")) == contract.ErasureLedger && strings.HasPrefix(location, "s3://"+name+"/")
	})
}

// emptied says whether the CDK's function empties the bucket before it is deleted.
func emptied(app cloud.Assembly, stack cloud.Stack, bucket string) bool {
	for _, id := range stack.OfType("Custom::S3AutoDeleteObjects") {
		name := app.Text(stack, stack.Resources[id].Properties["BucketName"])
		if name == app.Text(stack, map[string]any{"Ref": bucket}) {
			return true
		}
	}
	return false
}

// leftBehind is the log group that a function makes for itself when it is given none: no stack knows of it.
func leftBehind(app cloud.Assembly, stack cloud.Stack, id string) string {
	resource := stack.Resources[id]
	if resource.Type != "AWS::Lambda::Function" || resource.Properties["LoggingConfig"] != nil {
		return ""
	}
	name := "/aws/lambda/" + app.Text(stack, map[string]any{"Ref": id})
	for _, group := range stack.OfType("AWS::Logs::LogGroup") {
		if app.Text(stack, stack.Resources[group].Properties["LogGroupName"]) == name {
			return ""
		}
	}
	return name
}
