package stacks

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/internal/config"
	"stedi-lakehouse/internal/contract"
)

var stages = []string{"dev", "prod", "local"}

// Every bucket of every stage, by the beginning of its logical id.
func TestBuckets(t *testing.T) {
	const closed = `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`
	for _, name := range stages {
		stage, template := stageOf(t, name), ofStage(t, name).template(t, "catalog")
		days := stage.RetentionDays
		found := 0
		for id, bucket := range template.Resources {
			if bucket.Type != "AWS::S3::Bucket" {
				continue
			}
			found++
			kind := strings.TrimRight(id[:len(id)-8], "0123456789")
			encryption, logs, expires := "aws:kms, bucket key true", true, 0
			switch kind {
			case "AccessLogs": // S3 delivers access logs to a bucket with its own keys only; logging to itself would never end
				encryption, logs, expires = "AES256, bucket key false", false, days.AccessLogs
			case "Results":
				expires = days.QueryResults
			}
			check := func(what string, good bool) {
				t.Helper()
				if !good {
					t.Errorf("stage %s: bucket %s has no %s", name, kind, what)
				}
			}
			check("block of public access", text(t, bucket.Properties["PublicAccessBlockConfiguration"]) == closed)
			check("enforced owner", strings.Contains(text(t, bucket.Properties["OwnershipControls"]), "BucketOwnerEnforced"))
			check("versions", strings.Contains(text(t, bucket.Properties["VersioningConfiguration"]), "Enabled"))
			check("encryption as wanted", encrypted(t, bucket.Properties["BucketEncryption"]) == encryption)
			check("access logs as wanted", (bucket.Properties["LoggingConfiguration"] != nil) == logs)
			check("policy against requests without TLS", deniesPlainRequests(t, template, id))
			life := lifecycle(t, bucket.Properties["LifecycleConfiguration"])
			check("end of abandoned uploads within a week", life.AbandonedUploads >= 1 && life.AbandonedUploads <= 7)
			check("end of old versions as the stage says", life.Noncurrent == days.NoncurrentObjects)
			// Of the lake nothing current may expire: tables still refer to it, also those of quarantine (decision 0011).
			check(fmt.Sprintf("end of objects after %d days", expires), life.Current == expires)
		}
		if found != 3 {
			t.Errorf("stage %s has %d buckets, want 3", name, found)
		}
	}
}

// encrypted is how a bucket encrypts: the algorithm, and whether one request to the key serves many objects.
func encrypted(t *testing.T, configuration any) string {
	t.Helper()
	var decoded struct {
		ServerSideEncryptionConfiguration []struct {
			BucketKeyEnabled              bool
			ServerSideEncryptionByDefault struct{ SSEAlgorithm string }
		}
	}
	if err := json.Unmarshal([]byte(text(t, configuration)), &decoded); err != nil || len(decoded.ServerSideEncryptionConfiguration) != 1 {
		return fmt.Sprintf("%v (%v)", configuration, err)
	}
	rule := decoded.ServerSideEncryptionConfiguration[0]
	return fmt.Sprintf("%s, bucket key %v", rule.ServerSideEncryptionByDefault.SSEAlgorithm, rule.BucketKeyEnabled)
}

// life is what lifecycle rules make of a bucket's objects: days until they go, 0: never.
type life struct{ AbandonedUploads, Noncurrent, Current int }

func lifecycle(t *testing.T, configuration any) life {
	t.Helper()
	var decoded struct {
		Rules []struct {
			Status                         string
			Prefix                         string
			ExpirationInDays               int
			NoncurrentVersionExpiration    struct{ NoncurrentDays, NewerNoncurrentVersions int }
			AbortIncompleteMultipartUpload struct{ DaysAfterInitiation int }
		}
	}
	if err := json.Unmarshal([]byte(text(t, configuration)), &decoded); err != nil {
		t.Fatal(err)
	}
	var found life
	for _, rule := range decoded.Rules {
		if rule.Status != "Enabled" || rule.Prefix != "" || rule.NoncurrentVersionExpiration.NewerNoncurrentVersions > 0 {
			t.Errorf("rule %+v is off, or not for all objects", rule)
		}
		found.AbandonedUploads += rule.AbortIncompleteMultipartUpload.DaysAfterInitiation
		found.Noncurrent += rule.NoncurrentVersionExpiration.NoncurrentDays
		found.Current += rule.ExpirationInDays
	}
	return found
}

func deniesPlainRequests(t *testing.T, template template, bucket string) bool {
	t.Helper()
	for _, resource := range template.Resources {
		policy := text(t, resource.Properties)
		if resource.Type == "AWS::S3::BucketPolicy" && text(t, resource.Properties["Bucket"]) == `{"Ref":"`+bucket+`"}` {
			return strings.Contains(policy, `{"Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"false"}},"Effect":"Deny","Principal":{"AWS":"*"}`)
		}
	}
	return false
}

// The key serves nobody in general: neither everybody, nor a service for other resources than ours.
func TestKeyServesNobodyInGeneral(t *testing.T) {
	for _, name := range stages {
		for id, key := range ofStage(t, name).template(t, "catalog").Resources {
			if key.Type != "AWS::KMS::Key" {
				continue
			}
			if key.Properties["EnableKeyRotation"] != true {
				t.Errorf("stage %s: %s is not rotated", name, id)
			}
			for _, statement := range key.Properties["KeyPolicy"].(map[string]any)["Statement"].([]any) {
				statement := statement.(map[string]any)
				principal := text(t, statement["Principal"])
				if strings.Contains(principal, "*") || strings.Contains(principal, "Service") && statement["Condition"] == nil {
					t.Errorf("stage %s: %s serves %s if %v", name, id, principal, statement["Condition"])
				}
			}
		}
	}
}

// ours are the sources that the readers' tables are written down for below; others may come.
var ours = []string{"customer", "accelerometer", "step_trainer", "machine_learning", "run", "intake"}

// Who sees what follows from the contracts; here it is said once more, table by table.
func TestReaders(t *testing.T) {
	template := ofStage(t, "prod").template(t, "catalog")
	for reader, want := range map[string][]string{
		"Research": {"intake/ledger", "machine_learning/curated", "run/ledger"},
		"Customers": {
			"accelerometer/trusted", "customer/curated", "customer/trusted", "machine_learning/curated", "step_trainer/trusted",
		},
	} {
		policies := text(t, template.Resources[idOf(t, template, reader+"Role")].Properties["Policies"])
		objects := regexp.MustCompile(`"Arn"\]\},"/([a-z_]+/[a-z_]+)/\*"`)
		var got []string
		for _, match := range objects.FindAllStringSubmatch(policies, -1) {
			if source, _, _ := strings.Cut(match[1], "/"); slices.Contains(ours, source) {
				got = append(got, match[1])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s reads %q, want %q", reader, got, want)
		}
		for _, table := range contracts(t) {
			named := strings.Contains(policies, ":table/stedi/"+table.Table+`"`)
			if slices.Contains(ours, table.Source) && named != slices.Contains(want, table.Prefix()) {
				t.Errorf("%s may describe table %s: %v", reader, table.Table, named)
			}
			if reader == "Research" && named && table.PersonalData {
				t.Errorf("%s sees %s, which has personal data", reader, table.Table)
			}
		}
	}
}

// A contract decides, not a list: personal data in a curated table takes it away from those who may not see any.
func TestReadersFollowContracts(t *testing.T) {
	changed := contracts(t)
	for i := range changed {
		if changed[i].Table == "run_ledger" {
			changed[i].PersonalData = true
		}
	}
	template := synthesize(t, stageOf(t, "dev"), changed).template(t, "catalog")
	if policies := text(t, template.Resources[idOf(t, template, "ResearchRole")].Properties["Policies"]); strings.Contains(policies, "run_ledger") {
		t.Error("Research reads run_ledger, which then has personal data")
	}
}

func TestReadersOfTheStage(t *testing.T) {
	stage := stageOf(t, "dev")
	stage.Readers = config.Readers{Research: []string{"arn:aws:iam::111122223333:role/a"}, Customers: []string{"arn:aws:iam::111122223333:role/b"}}
	template := synthesize(t, stage, contracts(t)).template(t, "catalog")
	for reader, want := range map[string]string{"Research": "role/a", "Customers": "role/b"} {
		role := template.Resources[idOf(t, template, reader+"Role")]
		if trust := text(t, role.Properties["AssumeRolePolicyDocument"]); !strings.Contains(trust, `"Principal":{"AWS":"arn:aws:iam::111122223333:`+want+`"}`) {
			t.Errorf("%s is trusted to %s, want %s", reader, trust, want)
		}
	}
}

// Whoever can read a workgroup's results sees what its queries saw: each has a place of its own.
func TestWorkgroups(t *testing.T) {
	for _, name := range stages {
		stage := stageOf(t, name)
		var places []string
		for id, group := range ofStage(t, name).template(t, "catalog").Resources {
			if group.Type != "AWS::Athena::WorkGroup" {
				continue
			}
			settings := group.Properties["WorkGroupConfiguration"].(map[string]any)
			if settings["EnforceWorkGroupConfiguration"] != true || settings["PublishCloudWatchMetricsEnabled"] != true ||
				settings["BytesScannedCutoffPerQuery"] != float64(stage.Queries.ScanLimitGB<<30) ||
				!strings.Contains(text(t, settings["ResultConfiguration"]), `"EncryptionOption":"SSE_KMS"`) {
				t.Errorf("stage %s: workgroup %s is %s\nwant enforced settings, metrics, %d GiB at most and encrypted results",
					name, id, text(t, settings), stage.Queries.ScanLimitGB)
			}
			places = append(places, text(t, settings["ResultConfiguration"].(map[string]any)["OutputLocation"]))
		}
		slices.Sort(places)
		if len(places) != 3 || len(slices.Compact(slices.Clone(places))) != 3 {
			t.Errorf("stage %s: results lie in %q, want three places", name, places)
		}
	}
}

func TestCatalogEncryptionIsOptIn(t *testing.T) {
	for _, name := range stages {
		if strings.Contains(ofStage(t, name).text(t, "catalog"), "DataCatalogEncryptionSettings") {
			t.Errorf("stage %s encrypts the catalog of the whole account unasked", name)
		}
	}
	stage := stageOf(t, "prod")
	stage.CatalogEncryption = true
	template := synthesize(t, stage, contracts(t)).template(t, "catalog")
	settings, role := template.Resources["CatalogEncryption"], template.Resources[idOf(t, template, "CatalogEncryptionRole")]
	if got := text(t, settings.Properties["DataCatalogEncryptionSettings"]); !strings.Contains(got, `"CatalogEncryptionMode":"SSE-KMS-WITH-SERVICE-ROLE"`) ||
		!strings.Contains(got, `"ReturnConnectionPasswordEncrypted":true`) {
		t.Errorf("the settings are %s", got)
	}
	if settings.DeletionPolicy != "Retain" || role.DeletionPolicy != "Retain" {
		t.Errorf("settings and role have deletion policies %q and %q, want both to stay as the key does", settings.DeletionPolicy, role.DeletionPolicy)
	}
	if !slices.Contains(template.Resources["Database"].DependsOn, "CatalogEncryption") {
		t.Error("the database may be made before the catalog is encrypted")
	}
}

func TestSavedQueries(t *testing.T) {
	set := contracts(t)
	queries := map[string]string{}
	for _, query := range savedQueries(set, "db", "lake") {
		queries[query.Name] = query.SQL
	}
	for _, table := range set {
		if query := queries["count "+table.Zone]; slices.Contains(queryZones, table.Zone) && !strings.Contains(query, "from "+table.Table) {
			t.Errorf("the query %q does not count %s:\n%s", "count "+table.Zone, table.Table, query)
		}
		if query := queries["create "+table.Table]; table.Zone == contract.Landing && !strings.HasPrefix(query, "create external table") {
			t.Errorf("no query creates %s", table.Table)
		}
	}
	for _, name := range []string{"ledger last run", "consent funnel", "join on time alone"} {
		if queries[name] == "" {
			t.Errorf("there is no query %q", name)
		}
	}
}

// idOf is the logical id that begins with a construct's ids and ends in the CDK's hash.
func idOf(t *testing.T, template template, beginning string) string {
	t.Helper()
	pattern := regexp.MustCompile("^" + beginning + "[0-9A-F]{8}$")
	for id := range template.Resources {
		if pattern.MatchString(id) {
			return id
		}
	}
	t.Fatalf("no resource %s...; there are %q", beginning, slices.Sorted(maps.Keys(template.Resources)))
	return ""
}

// text is a value of a template as JSON on one line, keys in order.
func text(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
