package zoneflow

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
)

// Right is something that can be done with a table.
type Right string

// The rights. The first six are about the objects in which the rows are, the next three about the table's catalog entry. Versions are
// what was overwritten or deleted: who deletes one leaves nothing to go back to.
const (
	Read           Right = "read"
	ReadVersions   Right = "read versions of"
	List           Right = "list"
	Write          Right = "write"
	Delete         Right = "delete"
	DeleteVersions Right = "delete versions of"
	See            Right = "see the catalog entry of"
	Change         Right = "change the catalog entry of"
	Drop           Right = "drop the catalog entry of"
	Administer     Right = "administer the bucket of"
)

// actions are what gives each right. IAM has more; these are the ones by which data and its description come and go.
var actions = map[Right][]string{
	Read:           {"s3:GetObject"},
	ReadVersions:   {"s3:GetObjectVersion"},
	Write:          {"s3:PutObject", "s3:ReplicateObject", "s3:RestoreObject", "s3:PutObjectAcl", "s3:PutObjectVersionAcl"},
	Delete:         {"s3:DeleteObject", "s3:ReplicateDelete", "s3:PutObjectRetention", "s3:BypassGovernanceRetention"},
	DeleteVersions: {"s3:DeleteObjectVersion"},
	List:           {"s3:ListBucket", "s3:ListBucketVersions"},
	Administer: {
		"s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketPublicAccessBlock",
		"s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration",
		"s3:PutBucketOwnershipControls", "s3:PutBucketLogging",
	},
	See: {
		"glue:GetTable", "glue:GetTables", "glue:GetTableVersion", "glue:GetTableVersions", "glue:GetPartition", "glue:GetPartitions",
		"glue:BatchGetPartition", "glue:SearchTables", "glue:GetUnfilteredTableMetadata", "glue:GetUnfilteredPartitionMetadata",
		"glue:GetUnfilteredPartitionsMetadata", "glue:GetColumnStatisticsForTable", "glue:GetColumnStatisticsForPartition",
	},
	Change: {
		"glue:CreateTable", "glue:UpdateTable", "glue:CreatePartition", "glue:BatchCreatePartition", "glue:UpdatePartition",
		"glue:BatchUpdatePartition",
	},
	Drop: {
		"glue:DeleteTable", "glue:BatchDeleteTable", "glue:DeleteTableVersion", "glue:BatchDeleteTableVersion", "glue:DeletePartition",
		"glue:BatchDeletePartition", "glue:DeleteDatabase", // AWS asks for it on the database's tables too
	},
}

// beyond are actions that give more than they say: rights of another role, or of whoever one likes. No role here needs one.
var beyond = []string{
	"sts:AssumeRole", "iam:PassRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:CreatePolicyVersion",
	"iam:SetDefaultPolicyVersion", "iam:CreateAccessKey", "lakeformation:GetDataAccess", "lakeformation:GrantPermissions",
	"glue:PutResourcePolicy", "glue:CreateJob", "glue:UpdateJob", "lambda:UpdateFunctionCode", "s3:CreateAccessPoint",
	"s3:PutAccessPointPolicy", "athena:UpdateWorkGroup",
}

// ofObjects are the rights on objects by their keys.
var ofObjects = []Right{Read, ReadVersions, Write, Delete, DeleteVersions}

// target is what there are rights on: a table of the lake or, without a catalog entry, the results of an Athena workgroup or, with
// catalog entries alone, the tables that readers make in a scratch database. An object beside the tables is one too.
type target struct {
	name   string
	bucket string // ARN, as if the partition were aws; empty: rights on its objects are another target's
	prefix string // customer/landing/; of an object its key
	entry  string // ARN of the catalog entry, as if partition, Region and account were those of catalog; empty: none
}

// tables are the Glue tables of the app whose location is in S3.
func tables(app cloud.Assembly) ([]target, error) {
	var found []target
	for _, stack := range app {
		for _, id := range stack.OfType("AWS::Glue::Table") {
			resource := stack.Resources[id]
			bucket, prefix, err := folder(app.Text(stack, resource.Get("TableInput", "StorageDescriptor", "Location")))
			if err != nil {
				return nil, fmt.Errorf("stack %s: table %s is at %w", stack.Name, id, err)
			}
			name := app.Text(stack, resource.Get("TableInput", "Name"))
			found = append(found, target{name, bucket, prefix, entry(app.Text(stack, resource.Get("DatabaseName")), name)})
		}
	}
	return found, nil
}

// ResultsOf is the name in a grant of what a workgroup's queries write: results, what UNLOAD writes, and the rows of tables that are made
// by CREATE TABLE AS SELECT.
func ResultsOf(workgroup string) string { return "results of " + workgroup }

// TablesIn is the name in a grant of the catalog entries in a scratch database.
func TablesIn(database string) string { return "tables in " + database }

// results are those of the app's Athena workgroups.
func results(app cloud.Assembly) ([]target, error) {
	var found []target
	for _, stack := range app {
		for _, id := range stack.OfType("AWS::Athena::WorkGroup") {
			resource := stack.Resources[id]
			bucket, prefix, err := folder(app.Text(stack, resource.Get("WorkGroupConfiguration", "ResultConfiguration", "OutputLocation")))
			if err != nil {
				return nil, fmt.Errorf("stack %s: workgroup %s keeps its results at %w", stack.Name, id, err)
			}
			found = append(found, target{ResultsOf(app.Text(stack, resource.Get("Name"))), bucket, prefix, ""})
		}
	}
	return found, nil
}

// scratch are the tables that may be made in the app's Glue databases. A database with a location is one for that; the lake's has none.
// It has to be among a workgroup's results: there everything expires, and rights are computed.
func scratch(app cloud.Assembly, results []target) ([]target, error) {
	var found []target
	for _, stack := range app {
		for _, id := range stack.OfType("AWS::Glue::Database") {
			resource := stack.Resources[id]
			location := resource.Get("DatabaseInput", "LocationUri")
			if location == nil {
				continue
			}
			bucket, prefix, err := folder(app.Text(stack, location))
			if err == nil && !slices.ContainsFunc(results, func(of target) bool { return of.bucket == bucket && strings.HasPrefix(prefix, of.prefix) }) {
				err = fmt.Errorf("%q, want a folder in the results of a workgroup", app.Text(stack, location))
			}
			if err != nil {
				return nil, fmt.Errorf("stack %s: database %s is at %w", stack.Name, id, err)
			}
			name := app.Text(stack, resource.Get("DatabaseInput", "Name"))
			found = append(found, target{name: TablesIn(name), entry: entry(name, "*")})
		}
	}
	return found, nil
}

// targets are all that there are rights on: the app's tables, and beside them what readers make.
func targets(app cloud.Assembly) (all, ofTables []target, err error) {
	if ofTables, err = tables(app); err != nil {
		return nil, nil, err
	}
	ofQueries, err := results(app)
	if err != nil {
		return nil, nil, err
	}
	made, err := scratch(app, ofQueries)
	return slices.Concat(ofTables, ofQueries, made), ofTables, err
}

// folder takes a location apart: the bucket's ARN, and the prefix.
func folder(location string) (bucket, prefix string, err error) {
	path, isS3 := strings.CutPrefix(location, "s3://")
	bucket, prefix, hasPrefix := strings.Cut(path, "/")
	if !isS3 || !hasPrefix || !strings.HasSuffix(prefix, "/") {
		return "", "", fmt.Errorf("%q, want s3://bucket/folder/", location)
	}
	return "arn:aws:s3:::" + bucket, prefix, nil
}

// entry is the ARN of a table's catalog entry.
func entry(database, table string) string { return catalog + "table/" + database + "/" + table }

// source is the statement that gives a right.
type source struct {
	policy   cloud.Policy
	sid      string
	action   string
	resource string
}

// matrix is who may do what with which target, and by which statement.
type matrix map[string]map[string]map[Right]source

func (m matrix) add(holder, place string, right Right, by source) {
	if m[holder] == nil {
		m[holder] = map[string]map[Right]source{}
	}
	if m[holder][place] == nil {
		m[holder][place] = map[Right]source{}
	}
	if _, known := m[holder][place][right]; !known {
		m[holder][place][right] = by
	}
}

// rights computes the matrix. Conditions are taken for fulfilled, except s3:prefix of a list; what cannot be told from the templates
// counts as a wildcard; statements that deny count for nothing. So a right may be seen that nobody has, but none is missed.
// Objects are keys in the lake for which there are rights of their own: a statement that names exactly such an object, as resource or as
// prefix of a list, gives rights on it, not on the table that it is part of. Holders have the names that are given for them, else those of
// cloud.Statement.
func rights(app cloud.Assembly, targets []target, objects, names map[string]string) matrix {
	found := matrix{}
	for _, policy := range giving(app) {
		for _, statement := range policy.Statements {
			if statement.Effect != "Allow" {
				continue
			}
			for right, wanted := range actions {
				action, given := firstMatch(statement, wanted)
				if !given {
					continue
				}
				for _, place := range places(statement, right, targets, objects) {
					for _, holder := range statement.Holders {
						if known, ok := names[holder]; ok {
							holder = known
						}
						found.add(holder, place.name, right, source{
							policy: policy, sid: statement.Sid, action: action, resource: place.resource,
						})
					}
				}
			}
		}
	}
	return found
}

// giving are the policies by which somebody may do something with a table: an endpoint's only limits, a key's is about no table.
func giving(app cloud.Assembly) []cloud.Policy {
	return slices.DeleteFunc(app.Policies(), func(policy cloud.Policy) bool {
		return policy.Type == "AWS::EC2::VPCEndpoint" || policy.Type == "AWS::KMS::Key"
	})
}

// policyName is "policy S3Access of R", or the resource that is a policy.
func policyName(policy cloud.Policy) string {
	if policy.Name != "" {
		return fmt.Sprintf("policy %s of %s", policy.Name, policy.Resource)
	}
	return policy.Resource
}

// holders names the roles: job NAME for the role of a Glue job, else the role's logical id.
func holders(app cloud.Assembly) map[string]string {
	found := map[string]string{}
	for _, stack := range app {
		for _, id := range slices.Sorted(maps.Keys(stack.Resources)) {
			resource := stack.Resources[id]
			switch resource.Type {
			case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group":
				arn := "${" + stack.Name + "." + id + ".Arn}"
				if found[arn] == "" {
					found[arn] = id
				}
			case "AWS::Glue::Job":
				found[app.Text(stack, resource.Properties["Role"])] = "job " + app.Text(stack, resource.Properties["Name"])
			}
		}
	}
	return found
}

func firstMatch(statement cloud.Statement, wanted []string) (string, bool) {
	for _, action := range wanted {
		if len(statement.NotActions) > 0 {
			if !slices.ContainsFunc(statement.NotActions, func(pattern string) bool { return cloud.Overlap(lower(pattern), lower(action)) }) {
				return action, true
			}
			continue
		}
		for _, pattern := range statement.Actions {
			if cloud.Overlap(lower(pattern), lower(action)) {
				return action, true
			}
		}
	}
	return "", false
}

func lower(text string) string { return strings.ToLower(text) }

// place is a target, or an object of its own, that a statement reaches, and the resource by which it does.
type place struct {
	name     string
	resource string
}

// partition is that of an ARN. An app is deployed into one, so it tells no two resources apart.
var partition = regexp.MustCompile(`^arn:aws(-[a-z]+)+:`)

// ofCatalog is what an ARN of Glue begins with. An app has one catalog, so Region and account tell no two tables apart either; with
// wildcards in their place the name of one table would be found in what names another.
var ofCatalog = regexp.MustCompile(`^arn:aws:glue:(\$\{AWS::Region\}|[^:]*):(\$\{AWS::AccountId\}|[^:]*):`)

const catalog = "arn:aws:glue:region:account:"

func places(statement cloud.Statement, right Right, targets []target, objects map[string]string) []place {
	resources := statement.Resources
	if len(statement.NotResources) > 0 || len(resources) == 0 {
		resources = []string{cloud.Unknown} // all but some; in a bucket's own policy: that bucket
	}
	var reached []place
	for _, resource := range resources {
		resource = partition.ReplaceAllString(resource, "arn:aws:")
		for _, target := range targets {
			if slices.Contains(ofObjects, right) {
				if name, alone := objects[strings.TrimPrefix(resource, target.bucket+"/")]; alone {
					if strings.HasPrefix(resource, target.bucket+"/"+target.prefix) {
						reached = append(reached, place{name, resource})
					}
					continue
				}
			}
			if reaches(statement, right, resource, target, objects) {
				reached = append(reached, place{target.name, resource})
			}
			if right == List && target.bucket != "" && cloud.Overlap(resource, target.bucket) {
				for _, pattern := range prefixes(statement) {
					if name, alone := objects[pattern]; alone && strings.HasPrefix(pattern, target.prefix) {
						reached = append(reached, place{name, resource})
					}
				}
			}
		}
	}
	return reached
}

func reaches(statement cloud.Statement, right Right, resource string, target target, objects map[string]string) bool {
	switch {
	case right == See || right == Change || right == Drop:
		return target.entry != "" && cloud.Overlap(ofCatalog.ReplaceAllString(resource, catalog), target.entry)
	case target.bucket == "":
		return false
	case right == List:
		return cloud.Overlap(resource, target.bucket) && lists(statement, target.keys(), objects)
	case right == Administer:
		return cloud.Overlap(resource, target.bucket)
	}
	return cloud.Overlap(resource, target.bucket+"/"+target.keys())
}

// lists says whether the statement lets such keys be listed: a list gives all keys that begin with the prefix it asks for, so
// an empty or a short one gives more than its own folder. A statement that does not limit s3:prefix lets everything be listed.
func lists(statement cloud.Statement, keys string, objects map[string]string) bool {
	patterns := prefixes(statement)
	for _, pattern := range patterns {
		if _, alone := objects[pattern]; !alone && cloud.Overlap(pattern+"*", keys) {
			return true
		}
	}
	return patterns == nil
}

// prefixes are the values that the statement limits s3:prefix to; nil: it does not. Operators like StringLikeIfExists and
// ForAllValues:StringLike do not either: they hold for a request without a prefix, which lists the whole bucket.
func prefixes(statement cloud.Statement) []string {
	var found []string
	for operator, keys := range statement.Conditions {
		if operator != "StringLike" && operator != "StringEquals" {
			continue
		}
		for key, patterns := range keys {
			if strings.EqualFold(key, "s3:prefix") {
				found = append(found, patterns...)
			}
		}
	}
	return found
}
