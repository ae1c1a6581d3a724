package stacks

import (
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/zoneflow"
)

// load reads an assembly anew, so that a test may change it.
func load(t *testing.T, folder assembly) cloud.Assembly {
	t.Helper()
	app, err := cloud.Load(string(folder))
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func TestZoneFlow(t *testing.T) {
	for _, variant := range variants(t) {
		t.Run(variant.Title, func(t *testing.T) {
			if err := zoneflow.Check(load(t, variant.assembly), contracts(t), Grants(variant.Stage, contracts(t))); err != nil {
				t.Error(err)
			}
		})
	}
}

// statementOf finds a statement of a role of the pipeline stack in its template.
func statementOf(t *testing.T, app cloud.Assembly, role, sid string) map[string]any {
	t.Helper()
	for _, stack := range app {
		for id, resource := range stack.Resources {
			if resource.Type != "AWS::IAM::Role" || !strings.HasPrefix(id, role) {
				continue
			}
			for _, policy := range resource.Properties["Policies"].([]any) {
				document := policy.(map[string]any)["PolicyDocument"].(map[string]any)
				for _, statement := range document["Statement"].([]any) {
					if statement := statement.(map[string]any); statement["Sid"] == sid {
						return statement
					}
				}
			}
		}
	}
	t.Fatalf("role %s has no statement %s", role, sid)
	return nil
}

// resourceOf finds a resource by the beginning of its id.
func resourceOf(t *testing.T, app cloud.Assembly, prefix string) map[string]any {
	t.Helper()
	for _, stack := range app {
		for id, resource := range stack.Resources {
			if strings.HasPrefix(id, prefix) {
				return resource.Properties
			}
		}
	}
	t.Fatalf("no resource %s", prefix)
	return nil
}

// chainsList is what the state machine's right to list is limited to.
func chainsList(t *testing.T, app cloud.Assembly) map[string]any {
	t.Helper()
	document := resourceOf(t, app, "ChainStateMachineRoleDefaultPolicy")["PolicyDocument"].(map[string]any)
	for _, statement := range document["Statement"].([]any) {
		if statement := statement.(map[string]any); statement["Action"] == "s3:ListBucket" {
			return statement["Condition"].(map[string]any)["StringEquals"].(map[string]any)
		}
	}
	t.Fatal("the state machine lists nothing")
	return nil
}

func bucketARN(t *testing.T, app cloud.Assembly, suffix string) any {
	t.Helper()
	read := statementOf(t, app, "CustomerLandingToTrustedRole", "LocateBucket")["Resource"]
	if list, isList := read.([]any); isList {
		read = list[0]
	}
	return map[string]any{"Fn::Join": []any{"", []any{read, suffix}}}
}

func widen(statement map[string]any, key string, values ...any) {
	list, isList := statement[key].([]any)
	if !isList {
		list = []any{statement[key]}
	}
	statement[key] = append(list, values...)
}

const curator = "CustomerTrustedToCuratedRole"

// change makes a mistake in an app.
type change func(t *testing.T, app cloud.Assembly)

// widened gives a statement of a role one more action, or one more resource.
func widened(role, sid, key, value string) change {
	return func(t *testing.T, app cloud.Assembly) { widen(statementOf(t, app, role, sid), key, value) }
}

// reaching gives a statement of a role one more place in the lake.
func reaching(role, sid, place string) change {
	return func(t *testing.T, app cloud.Assembly) {
		widen(statementOf(t, app, role, sid), "Resource", bucketARN(t, app, place))
	}
}

// listing lets a job list one more prefix.
func listing(prefix string) change {
	return func(t *testing.T, app cloud.Assembly) {
		condition := statementOf(t, app, curator, "ListObjectsInBucket")["Condition"].(map[string]any)
		widen(condition["StringLike"].(map[string]any), "s3:prefix", prefix)
	}
}

// Each case widens a policy in the template of stage prod, or takes something from it.
func TestZoneFlowNamesTheStatement(t *testing.T) {
	for name, test := range map[string]struct {
		change change
		want   []string
	}{
		"reads landing": {
			reaching(curator, "ReadSources", "/customer/landing/*"),
			[]string{"job customer_trusted_to_curated may read customer_landing and must not: statement ReadSources (policy S3Access of CustomerTrustedToCuratedRole", "allows s3:GetObject on"},
		},
		"writes what it reads": {
			widened(curator, "ReadSources", "Action", "s3:PutObject"),
			[]string{"job customer_trusted_to_curated may write customer_trusted and must not: statement ReadSources", "may write accelerometer_trusted"},
		},
		"wildcard action": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, curator, "ReadSources")["Action"] = "S3:*Object"
			},
			[]string{"may delete customer_trusted and must not: statement ReadSources", "allows s3:DeleteObject"},
		},
		"all of the bucket": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, curator, "AllObjectActions")["Resource"] = bucketARN(t, app, "/*")
			},
			[]string{"may write customer_landing", "may delete step_trainer_trusted", "may write intake_ledger and must not: statement AllObjectActions"},
		},
		"wildcard within a folder": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, curator, "ReadSources")["Resource"] = bucketARN(t, app, "/c*r/l?nding/2026/*")
			},
			[]string{"may read customer_landing and must not: statement ReadSources", "may not read accelerometer_trusted and needs to"},
		},
		"value nobody knows at synth": {
			func(t *testing.T, app cloud.Assembly) {
				widen(statementOf(t, app, curator, "ReadSources"), "Resource", map[string]any{"Fn::Select": []any{0, "x"}})
			},
			[]string{"may read customer_landing"},
		},
		"all but": {
			func(t *testing.T, app cloud.Assembly) {
				changed := statementOf(t, app, curator, "ReadSources")
				delete(changed, "Action")
				changed["NotAction"] = []any{"s3:DeleteObject*"}
			},
			[]string{"may write customer_trusted and must not: statement ReadSources"},
		},
		"another job's intake": {
			reaching(curator, "KeepIntake", "/intake/ledger/step_trainer_trusted.json"),
			[]string{"may write object intake/ledger/step_trainer_trusted.json and must not: statement KeepIntake"},
		},
		"lists everything": {
			func(t *testing.T, app cloud.Assembly) {
				delete(statementOf(t, app, curator, "ListObjectsInBucket"), "Condition")
			},
			[]string{"may list customer_landing and must not: statement ListObjectsInBucket"},
		},
		"lists everything without a prefix": {
			func(t *testing.T, app cloud.Assembly) {
				condition := statementOf(t, app, curator, "ListObjectsInBucket")["Condition"].(map[string]any)
				condition["StringLikeIfExists"] = condition["StringLike"]
				delete(condition, "StringLike")
			},
			[]string{"job customer_trusted_to_curated may list customer_landing and must not: statement ListObjectsInBucket"},
		},
		"lists with an empty prefix": {
			listing(""),
			[]string{"job customer_trusted_to_curated may list customer_landing and must not: statement ListObjectsInBucket"},
		},
		"lists with a short prefix": {
			listing("customer/lan"),
			[]string{"job customer_trusted_to_curated may list customer_landing and must not: statement ListObjectsInBucket"},
		},
		"looks up another job's intake": {
			listing("intake/ledger/step_trainer_trusted.json"),
			[]string{"may list object intake/ledger/step_trainer_trusted.json and must not: statement ListObjectsInBucket"},
		},
		"catalog entry": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, curator, "CommitToTable")["Resource"] = "arn:aws:glue:*:*:table/stedi/*"
			},
			[]string{"may change the catalog entry of customer_landing and must not: statement CommitToTable"},
		},
		"drops tables": {
			widened(curator, "CommitToTable", "Action", "glue:*"),
			[]string{"may drop the catalog entry of customer_curated and must not: statement CommitToTable"},
		},
		"state machine": {
			func(t *testing.T, app cloud.Assembly) {
				document := resourceOf(t, app, "ChainStateMachineRoleDefaultPolicy")["PolicyDocument"].(map[string]any)
				widen(document, "Statement", map[string]any{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
			},
			[]string{"ChainStateMachineRole", "may read customer_landing and must not: statement no. ", "ChainStateMachineRoleDefaultPolicy"},
		},
		"bucket policy for everybody": {
			func(t *testing.T, app cloud.Assembly) {
				document := resourceOf(t, app, "LakePolicy")["PolicyDocument"].(map[string]any)
				widen(document, "Statement", map[string]any{
					"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": bucketARN(t, app, "/*"),
				})
			},
			[]string{"* may read customer_landing and must not: statement Open (LakePolicy"},
		},
		"managed policy": {
			func(t *testing.T, app cloud.Assembly) {
				resourceOf(t, app, curator)["ManagedPolicyArns"] = []any{"arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole"}
			},
			[]string{"has the managed policy arn:aws:iam::aws:policy/service-role/AWSGlueServiceRole, whose rights are not computed"},
		},
		"too little": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, curator, "AllObjectActions")["Action"] = []any{"s3:GetObject"}
			},
			[]string{"job customer_trusted_to_curated may not write customer_curated and needs to"},
		},
		"deletes versions": {
			widened(curator, "AllObjectActions", "Action", "s3:DeleteObjectVersion"),
			[]string{"job customer_trusted_to_curated may delete versions of customer_curated and must not: statement AllObjectActions"},
		},
		"maintenance deletes versions": {
			widened("TableMaintenanceRole", "AllObjectActions", "Action", "s3:DeleteObjectVersion"),
			[]string{"job table_maintenance may delete versions of customer_trusted and must not: statement AllObjectActions"},
		},
		"reads versions": {
			widened("CustomersRole", "ReadTables", "Action", "s3:GetObjectVersion"),
			[]string{"CustomersRole", "may read versions of customer_trusted and must not: statement ReadTables"},
		},
		"gate writes what was delivered": {
			widened("CustomerLandingToTrustedRole", "ReadSources", "Action", "s3:PutObject"),
			[]string{"job customer_landing_to_trusted may write customer_landing and must not: statement ReadSources"},
		},
		"gate writes the secret": {
			widened("StepTrainerTrustedRole", "Consult", "Action", "s3:PutObject"),
			[]string{"job step_trainer_trusted may write object erasure/state/secret and must not: statement Consult"},
		},
		"gate reads more of the state": {
			reaching("StepTrainerTrustedRole", "Consult", "/erasure/state/*"),
			[]string{"job step_trainer_trusted may read object erasure/state/pending.json and must not: statement Consult"},
		},
		"gate without the secret": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, "StepTrainerTrustedRole", "Consult")["Resource"] = bucketARN(t, app, "/erasure/state/rewritten.json")
			},
			[]string{"job step_trainer_trusted may not read object erasure/state/secret and needs to"},
		},
		"derived table reads the secret": {
			reaching(curator, "ReadSources", "/erasure/state/secret"),
			[]string{"job customer_trusted_to_curated may read object erasure/state/secret and must not: statement ReadSources"},
		},
		"reader reads certificates": {
			reaching("ResearchRole", "ReadTables", "/erasure/certificates/*"),
			[]string{"ResearchRole", "may read object erasure/certificates/ and must not: statement ReadTables"},
		},
		"reader reads requests": {
			reaching("CustomersRole", "ReadTables", "/erasure/requests/*"),
			[]string{"CustomersRole", "may read erasure_requests and must not: statement ReadTables"},
		},
		"state machine lists more": {
			func(t *testing.T, app cloud.Assembly) {
				widen(chainsList(t, app), "s3:prefix", "erasure/")
			},
			[]string{"ChainStateMachineRole", "may list erasure_ledger and must not", "may list object erasure/certificates/ and must not"},
		},
		"who erases people writes intakes": {
			reaching("ErasePeopleRole", "AllObjectActions", "/intake/ledger/*"),
			[]string{"job erase_people may write intake_ledger and must not: statement AllObjectActions", "may delete versions of intake_ledger"},
		},
		"who erases people drops tables": {
			widened("ErasePeopleRole", "CommitToTable", "Action", "glue:DeleteTable"),
			[]string{"job erase_people may drop the catalog entry of customer_curated and must not: statement CommitToTable"},
		},
		"who erases people writes results": {
			widened("ErasePeopleRole", "DeleteResults", "Action", "s3:PutObject"),
			[]string{"job erase_people may write results of stedi-customers and must not: statement DeleteResults"},
		},
		"reader deletes versions of results": {
			widened("ResearchRole", "KeepResults", "Action", "s3:DeleteObjectVersion"),
			[]string{"ResearchRole", "may delete versions of results of stedi-research and must not: statement KeepResults"},
		},
		"who erases people cannot": {
			func(t *testing.T, app cloud.Assembly) {
				statementOf(t, app, "ErasePeopleRole", "AllObjectActions")["Action"] = []any{"s3:PutObject", "s3:DeleteObject"}
			},
			[]string{"job erase_people may not delete versions of customer_landing and needs to", "may not delete versions of object erasure/proofs/ and needs to"},
		},
		"another reader's scratch": {
			widened("ResearchRole", "MakeTables", "Resource", "arn:aws:glue:eu-*:*:table/stedi_customers_scratch/copy"),
			[]string{"ResearchRole", "may drop the catalog entry of tables in stedi_customers_scratch and must not: statement MakeTables (policy UseScratch of ResearchRole"},
		},
		"another reader's results": {
			func(t *testing.T, app cloud.Assembly) {
				widen(statementOf(t, app, "ResearchRole", "KeepResults"), "Resource", statementOf(t, app, "CustomersRole", "KeepResults")["Resource"])
			},
			[]string{"ResearchRole", "may read results of stedi-customers and must not: statement KeepResults"},
		},
		"lists every result": {
			func(t *testing.T, app cloud.Assembly) {
				delete(statementOf(t, app, "ResearchRole", "ListResults"), "Condition")
			},
			[]string{"ResearchRole", "may list results of stedi and must not: statement ListResults", "may list results of stedi-customers"},
		},
		"reader makes tables in the lake": {
			widened("CustomersRole", "MakeTables", "Resource", "arn:aws:glue:*:*:table/stedi/customer_trusted"),
			[]string{"CustomersRole", "may drop the catalog entry of customer_trusted and must not: statement MakeTables"},
		},
		"reader deletes in the lake": {
			reaching("CustomersRole", "KeepResults", "/customer/trusted/*"),
			[]string{"CustomersRole", "may delete customer_trusted and must not: statement KeepResults"},
		},
		"job makes tables in a scratch": {
			widened(curator, "CommitToTable", "Resource", "arn:aws:glue:*:*:table/stedi_research_scratch/*"),
			[]string{"job customer_trusted_to_curated may change the catalog entry of tables in stedi_research_scratch and must not: statement CommitToTable"},
		},
		"job writes results": {
			func(t *testing.T, app cloud.Assembly) {
				results := resourceOf(t, app, "ResearchWorkgroup")["WorkGroupConfiguration"].(map[string]any)["ResultConfiguration"].(map[string]any)
				results["OutputLocation"] = "s3://elsewhere/research/"
				resourceOf(t, app, "ResearchScratch")["DatabaseInput"].(map[string]any)["LocationUri"] = "s3://elsewhere/research/scratch/"
				widen(statementOf(t, app, curator, "AllObjectActions"), "Resource", "arn:aws:s3:::elsewhere/*")
			},
			[]string{"job customer_trusted_to_curated may write results of stedi-research and must not: statement AllObjectActions"},
		},
		"reader deletes the lake's database": {
			func(t *testing.T, app cloud.Assembly) {
				widen(statementOf(t, app, "ResearchRole", "MakeTables"), "Action", "glue:DeleteDatabase")
				widen(statementOf(t, app, "ResearchRole", "MakeTables"), "Resource", "arn:aws:glue:*:*:database/stedi", "arn:aws:glue:*:*:table/stedi/*")
			},
			[]string{"ResearchRole", "may drop the catalog entry of customer_trusted and must not: statement MakeTables"},
		},
		"reader searches the catalog": {
			widened("ResearchRole", "OpenConsole", "Action", "glue:SearchTables"),
			[]string{"ResearchRole", "may see the catalog entry of customer_trusted and must not: statement OpenConsole"},
		},
		"reader becomes another": {
			widened("ResearchRole", "OpenConsole", "Action", "sts:*"),
			[]string{"statement OpenConsole (policy Query of ResearchRole", "allows sts:AssumeRole, by which more rights come than are computed"},
		},
		"reader moves its results": {
			widened("ResearchRole", "QueryInWorkgroup", "Action", "athena:UpdateWorkGroup"),
			[]string{"statement QueryInWorkgroup (policy Query of ResearchRole", "allows athena:UpdateWorkGroup"},
		},
		"scratch where nothing expires": {
			func(t *testing.T, app cloud.Assembly) {
				resourceOf(t, app, "ResearchScratch")["DatabaseInput"].(map[string]any)["LocationUri"] = "s3://lake/scratch/"
			},
			[]string{"stack stedi-catalog: database ResearchScratch", `is at "s3://lake/scratch/", want a folder in the results of a workgroup`},
		},
		"table in another folder": {
			func(t *testing.T, app cloud.Assembly) {
				input := resourceOf(t, app, "CustomerLanding")["TableInput"].(map[string]any)
				input["StorageDescriptor"].(map[string]any)["Location"] = "s3://lake/customer/trusted/"
			},
			[]string{`table customer_landing is at "customer/trusted/" in the lake, its contract says "customer/landing/"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := load(t, ofStage(t, "prod"))
			test.change(t, app)
			err := zoneflow.Check(app, contracts(t), Grants(stageOf(t, "prod"), contracts(t)))
			if err == nil {
				t.Fatal("no error")
			}
			for _, text := range test.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error is %v\nwant it to contain %q", err, text)
				}
			}
		})
	}
}

// Grants that are wrong themselves do not get past the contracts.
func TestZoneFlowGates(t *testing.T) {
	rights := func(grants []zoneflow.Grant, holder string) map[string][]zoneflow.Right {
		return grants[slices.IndexFunc(grants, func(grant zoneflow.Grant) bool { return grant.Holder == holder })].Rights
	}
	for name, test := range map[string]struct {
		change func(grants []zoneflow.Grant)
		want   string
	}{
		"reader of landing": {
			func(grants []zoneflow.Grant) {
				rights(grants, "job customer_trusted_to_curated")["customer_landing"] = zoneflow.Reader
			},
			"job customer_trusted_to_curated reads customer_landing but does not write customer_trusted: only the gate of customer may read what was delivered",
		},
		"writer of trusted": {
			func(grants []zoneflow.Grant) {
				rights(grants, "job machine_learning_curated")["step_trainer_trusted"] = zoneflow.Writer
			},
			"job machine_learning_curated writes step_trainer_trusted but does not read step_trainer_landing",
		},
		"maintenance reads what was delivered": {
			func(grants []zoneflow.Grant) {
				rights(grants, "job table_maintenance")["customer_landing"] = zoneflow.Reader
			},
			"job table_maintenance reads customer_landing but does not write customer_trusted",
		},
		"gate changes what was delivered": {
			func(grants []zoneflow.Grant) {
				rights(grants, "job customer_landing_to_trusted")["customer_landing"] = zoneflow.Writer
			},
			`job customer_landing_to_trusted changes what was delivered, or deletes versions, of ["customer_landing"]: only who erases people may`,
		},
		"gate deletes versions": {
			func(grants []zoneflow.Grant) {
				rights(grants, "job customer_landing_to_trusted")["customer_trusted"] = zoneflow.Eraser
			},
			`job customer_landing_to_trusted changes what was delivered, or deletes versions, of ["customer_trusted"]`,
		},
		"two erase people": {
			func(grants []zoneflow.Grant) {
				rights(grants, "job table_maintenance")["customer_trusted"] = zoneflow.Eraser
			},
			`["job table_maintenance" "job erase_people"] erase people, want one holder at most`,
		},
		"two gates": {
			func(grants []zoneflow.Grant) {
				curated := rights(grants, "job customer_trusted_to_curated")
				curated["customer_landing"], curated["customer_trusted"] = zoneflow.Reader, zoneflow.Writer
			},
			"customer has 2 gates",
		},
	} {
		t.Run(name, func(t *testing.T) {
			grants := Grants(stageOf(t, "prod"), contracts(t))
			test.change(grants)
			if err := zoneflow.Check(load(t, ofStage(t, "prod")), contracts(t), grants); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v\nwant it to contain %q", err, test.want)
			}
		})
	}
}

func TestNobodyMayEmptyProd(t *testing.T) {
	for _, grant := range Grants(stageOf(t, "prod"), contracts(t)) {
		if grant.Holder == emptier {
			t.Error("stage prod has a function that deletes data")
		}
	}
}

// maxInlinePolicies is what IAM allows all inline policies of a role together, in characters without white space.
const maxInlinePolicies = 10240

func TestInlinePoliciesFit(t *testing.T) {
	for _, variant := range variants(t) {
		sizes := load(t, variant.assembly).InlineSizes()
		if len(sizes) < len(flows(contracts(t))) {
			t.Errorf("%s: %d roles with policies, want at least one a job", variant.Title, len(sizes))
		}
		for role, size := range sizes {
			if size > maxInlinePolicies {
				t.Errorf("%s: the inline policies of %s have %d characters, IAM allows %d", variant.Title, role, size, maxInlinePolicies)
			}
		}
	}
}
