package config_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"stedi-lakehouse/internal/config"
)

const newVPC = `{"mode": "new", "cidr": "10.40.0.0/22", "zones": 2}`

const existingVPC = `{"mode": "existing", "vpcId": "vpc-0a1b2c3d", "subnetId": "subnet-0a1b2c3d",
  "availabilityZone": "eu-central-1a", "routeTableIds": ["rtb-0a1b2c3d"]}`

const valid = `{
  "stage": "dev",
  "@aws-cdk/core:checkSecretUsage": true,
  "stages": {
    "dev": {
      "lakeName": "shop-dev", "consentGate": "as-of", "dataRemoval": "delete",
      "network": ` + newVPC + `,
      "jobs": {"workerType": "G.1X", "workers": 2, "timeoutMinutes": 30, "flex": true},
      "start": {"cron": "0 4 * * ? *", "timeZone": "Europe/Berlin", "landingMinutes": 30},
      "alerts": {"emails": ["oncall@example.com"], "runMinutes": 60, "quarantinedRows": 10, "nothingHours": 48},
      "monthlyBudgetUSD": 50,
      "queries": {"scanLimitGB": 10}, "erasureDays": 20,
      "retentionDays": {"snapshots": 3, "quarantine": 30, "noncurrentObjects": 7, "queryResults": 7, "accessLogs": 30, "logs": 30}
    }
  }
}`

// load loads the valid context with pairs of texts replaced.
func load(t *testing.T, replacements ...string) (config.Stage, error) {
	t.Helper()
	text := valid
	for i := 0; i < len(replacements); i += 2 {
		changed := strings.ReplaceAll(text, replacements[i], replacements[i+1])
		if changed == text {
			t.Fatalf("the context does not contain %q", replacements[i])
		}
		text = changed
	}
	var context map[string]any
	if err := json.Unmarshal([]byte(text), &context); err != nil {
		t.Fatalf("test context: %v", err)
	}
	return config.Load(context)
}

func TestLoad(t *testing.T) {
	stage, err := load(t, `"lakeName"`, `"account": "111122223333", "region": "eu-central-1", "lakeName"`)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Stage{
		Name: "dev", Account: "111122223333", Region: "eu-central-1", LakeName: "shop-dev",
		ConsentGate: config.AsOf, DataRemoval: config.Delete,
		Network:       config.Network{Mode: config.NewNetwork, CIDR: "10.40.0.0/22", Zones: 2},
		Jobs:          config.Jobs{WorkerType: "G.1X", Workers: 2, TimeoutMinutes: 30, Flex: true, Engine: config.AutoEngine, SparkFromGiB: 4},
		Start:         config.Start{Cron: "0 4 * * ? *", TimeZone: "Europe/Berlin", LandingMinutes: 30},
		Alerts:        config.Alerts{Emails: []string{"oncall@example.com"}, RunMinutes: 60, QuarantinedRows: 10, NothingHours: 48},
		Queries:       config.Queries{ScanLimitGB: 10},
		RetentionDays: config.RetentionDays{Snapshots: 3, Quarantine: 30, NoncurrentObjects: 7, QueryResults: 7, AccessLogs: 30, Logs: 30},
		ErasureDays:   20,

		MonthlyBudgetUSD: 50,
	}
	if text(stage) != text(want) || stage.Name != want.Name {
		t.Errorf("got  %+v\nwant %+v", stage, want)
	}
}

func text(stage config.Stage) string {
	encoded, _ := json.Marshal(stage)
	return string(encoded)
}

func TestLoadAccepts(t *testing.T) {
	for name, replacements := range map[string][]string{
		"gate of the stage":      {`"as-of"`, `"ever"`},
		"existing network":       {newVPC, existingVPC},
		"existing, own S3 route": {newVPC, strings.Replace(existingVPC, `"rtb-0a1b2c3d"`, ``, 1)},
		"no Flex":                {`, "flex": true`, ``},
		"nothing that starts it": {`"start": {"cron": "0 4 * * ? *", "timeZone": "Europe/Berlin", "landingMinutes": 30},`, ``, `, "erasureDays": 20`, ``},
		"every hour":             {`0 4 * * ? *`, `0 * ? * * *`},
		"nobody to tell":         {`"emails": ["oncall@example.com"], `, ``},
		"no budget":              {`"monthlyBudgetUSD": 50,`, ``},
		"people are erased":      {`"queries"`, `"erasure": {"openDays": 30}, "queries"`},
		"DuckDB only":            {`"flex": true`, `"flex": true, "engine": "duckdb"`},
		"Spark only":             {`"flex": true`, `"flex": true, "engine": "spark"`},
		"Spark from half a GiB":  {`"flex": true`, `"flex": true, "engine": "auto", "sparkFromGiB": 0.5`},
		"packages there already": {`"flex": true`, `"flex": true, "packagesInstalled": true`},
		"trust with conditions":  {`"flex": true`, `"flex": true, "trustThisAccountOnly": true`},
		"prod that retains":      {`"dev"`, `"prod"`, `"delete"`, `"retain"`},
		"emptied by hand":        {`"delete"`, `"delete-if-empty"`},
		"zone lookups cached":    {`"stage"`, `"availability-zones:account=1:region=x": ["a"], "stage"`},
		"largest VPC":            {`10.40.0.0/22`, `172.16.0.0/16`},
		"smallest VPC":           {`10.40.0.0/22`, `192.168.7.0/24`},
		"no network":             {newVPC, `{"mode": "none"}`},
		"jobs in another zone":   {`"zones": 2`, `"zones": 2, "jobZone": 2`},
		"private endpoints":      {`"zones": 2`, `"zones": 2, "privateEndpoints": true`},
		"private, existing":      {newVPC, strings.Replace(existingVPC, `"vpcId"`, `"privateEndpoints": true, "vpcId"`, 1)},
		"GovCloud":               {`"lakeName"`, `"region": "us-gov-west-1", "lakeName"`},
		"readers":                {`"queries"`, `"readers": {"research": ["arn:aws:iam::111122223333:role/team/analyst"], "customers": ["arn:aws:iam::111122223333:root"]}, "queries"`},
		"catalog encryption":     {`"delete"`, `"retain"`, `"queries"`, `"catalogEncryption": true, "queries"`},
		"no functions":           {`"zones": 2`, `"zones": 2, "keepDefaultSecurityGroup": true`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, replacements...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConsentGateFromCommandLine(t *testing.T) {
	stage, err := load(t, `"stage": "dev"`, `"stage": "dev", "consentGate": "ever"`)
	if err != nil || stage.ConsentGate != config.Ever {
		t.Errorf("gate is %q (error %v), want the command line's %q", stage.ConsentGate, err, config.Ever)
	}
}

// It takes two switches to remove the data of stage prod, and both are good for this lake only.
func TestProdRemovesDataWithTwoSwitches(t *testing.T) {
	stage, err := load(t, `"dev"`, `"prod"`, `"delete"`, `"retain"`, `"stage"`, `"dataRemoval": "delete", "allowDataRemoval": "shop-dev", "stage"`)
	if err != nil || stage.DataRemoval != config.Delete {
		t.Errorf("data removal is %q (error %v), want %q", stage.DataRemoval, err, config.Delete)
	}
}

func TestVariants(t *testing.T) {
	var context map[string]any
	text := strings.Replace(valid, `"stages": {`, `"stages": {"prod": {
	  "lakeName": "shop", "consentGate": "as-of", "dataRemoval": "retain", "network": `+newVPC+`,
	  "jobs": {"workerType": "G.1X", "workers": 2, "timeoutMinutes": 30},
	  "alerts": {"runMinutes": 60, "quarantinedRows": 10}, "queries": {"scanLimitGB": 10},
	  "retentionDays": {"snapshots": 3, "quarantine": 30, "noncurrentObjects": 7, "queryResults": 7, "accessLogs": 30, "logs": 30}
	},`, 1)
	if err := json.Unmarshal([]byte(text), &context); err != nil {
		t.Fatal(err)
	}
	variants, err := config.Variants(context)
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, variant := range variants {
		titles = append(titles, variant.Title)
		// A variant is a stage that could stand in cdk.json.
		stages := context["stages"].(map[string]any)
		stages["variant"] = variant.Stage
		context["stage"] = "variant"
		if _, err := config.Load(context); err != nil {
			t.Errorf("%s: %v", variant.Title, err)
		}
	}
	if got, want := strings.Join(titles, " "), "dev-new dev-existing dev-none dev-strict prod-new prod-existing prod-none prod-strict"; got != want {
		t.Errorf("variants are %s, want %s", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		replacements []string
		want         string
	}{
		"unknown stage":            {[]string{`"stage": "dev"`, `"stage": "test"`}, `stage "test" is unknown; allowed: dev`},
		"no stage":                 {[]string{`"stage": "dev",`, ``}, "no stage chosen; use -c stage=NAME with one of: dev"},
		"no stages":                {[]string{`"stages"`, `"@stages/x"`}, `context key "stages" is missing`},
		"mistyped option":          {[]string{`"stage": "dev"`, `"stage": "dev", "consentgate": "ever"`}, `context key "consentgate" is unknown; allowed: stages, stage, consentGate, dataRemoval, allowDataRemoval`},
		"gate on the command line": {[]string{`"stage": "dev"`, `"stage": "dev", "consentGate": "never"`}, `stage "dev": consentGate is "never", allowed: as-of, ever`},
		"zone there is not":        {[]string{`"zones": 2`, `"zones": 2, "jobZone": 3`}, `network.jobZone is 3, allowed: 1 to network.zones (2), or nothing for the first`},
		"zone of an existing VPC":  {[]string{newVPC, strings.Replace(existingVPC, `"vpcId"`, `"jobZone": 1, "vpcId"`, 1)}, `network.jobZone is "1", allowed: nothing with network.mode "existing"`},
		"China":                    {[]string{`"lakeName"`, `"region": "cn-north-1", "lakeName"`}, `stage "dev": region is "cn-north-1", allowed: a Region of the partitions aws and aws-us-gov`},
		"isolated":                 {[]string{`"lakeName"`, `"region": "us-isob-east-1", "lakeName"`}, `region is "us-isob-east-1", allowed: a Region of the partitions aws and aws-us-gov`},
		"unknown key":              {[]string{`"lakeName"`, `"lakename"`}, `dev.lakename: unknown key; allowed: account, region, lakeName`},
		"unknown network key":      {[]string{`"zones": 2`, `"zones": 2, "nat": true`}, `dev.network.nat: unknown key; allowed: mode, privateEndpoints, cidr, zones`},
		"missing key":              {[]string{`"dataRemoval": "delete",`, ``}, "dev.dataRemoval: missing"},
		"wrong kind":               {[]string{`"workers": 2`, `"workers": "2"`}, `dev.jobs.workers: got "2", want a whole number`},
		"stages as text":           {[]string{`{"workerType"`, `["x"], "x": {"workerType"`}, "dev.jobs: got a list, want an object"},
		"account":                  {[]string{`"lakeName"`, `"account": "1111", "lakeName"`}, `account is "1111", allowed: 12 digits`},
		"region":                   {[]string{`"lakeName"`, `"region": "Frankfurt", "lakeName"`}, `region is "Frankfurt", allowed: a Region such as`},
		"lake name":                {[]string{`shop-dev`, `Shop_dev`}, `lakeName is "Shop_dev"`},
		"lake name of a scratch":   {[]string{`shop-dev`, `shop-scratch`}, `lakeName is "shop-scratch", allowed: no name that ends in -scratch`},
		"lake name too long":       {[]string{`shop-dev`, strings.Repeat("x", 33)}, "at most 32 characters"},
		"gate":                     {[]string{`"as-of"`, `"always"`}, `consentGate is "always", allowed: as-of, ever`},
		"removal":                  {[]string{`"delete"`, `"purge"`}, `dataRemoval is "purge", allowed: retain, delete, delete-if-empty`},
		"prod that deletes":        {[]string{`"dev"`, `"prod"`}, `stage "prod": dataRemoval is "delete", allowed: "retain": stage prod removes data only with -c allowDataRemoval=shop-dev as well`},
		"prod that may delete":     {[]string{`"dev"`, `"prod"`, `"delete"`, `"delete-if-empty"`}, `removes data only with -c allowDataRemoval`},
		"prod by command line":     {[]string{`"dev"`, `"prod"`, `"delete"`, `"retain"`, `"stage"`, `"dataRemoval": "delete", "stage"`}, `stage prod removes data only with`},
		"prod, another lake":       {[]string{`"dev"`, `"prod"`, `"stage"`, `"allowDataRemoval": "shop", "stage"`}, `allowDataRemoval is "shop", allowed: shop-dev`},
		"prod, second switch only": {[]string{`"dev"`, `"prod"`, `"delete"`, `"retain"`, `"stage"`, `"allowDataRemoval": "shop-dev", "stage"`}, `allowDataRemoval is "shop-dev", allowed: nothing, except to remove the data of stage prod`},
		"switch outside prod":      {[]string{`"stage"`, `"allowDataRemoval": "shop-dev", "stage"`}, `allowDataRemoval is "shop-dev", allowed: nothing`},
		"removal, command line":    {[]string{`"stage"`, `"dataRemoval": "purge", "stage"`}, `dataRemoval is "purge", allowed: retain, delete, delete-if-empty`},
		"network mode":             {[]string{`"mode": "new"`, `"mode": "nat"`}, `network.mode is "nat", allowed: new, existing, none`},
		"CIDR is not one":          {[]string{`10.40.0.0/22`, `10.40.0.0`}, `network.cidr is "10.40.0.0", allowed: a private IPv4 block from /16 to /24`},
		"CIDR too small":           {[]string{`10.40.0.0/22`, `10.40.0.0/25`}, `network.cidr is "10.40.0.0/25"`},
		"CIDR too large":           {[]string{`10.40.0.0/22`, `10.0.0.0/15`}, `network.cidr is "10.0.0.0/15"`},
		"CIDR public":              {[]string{`10.40.0.0/22`, `8.8.0.0/22`}, `network.cidr is "8.8.0.0/22"`},
		"CIDR inside a block":      {[]string{`10.40.0.0/22`, `10.40.1.0/22`}, `network.cidr is "10.40.1.0/22"`},
		"CIDR of IPv6":             {[]string{`10.40.0.0/22`, `fd00::/22`}, `network.cidr is "fd00::/22"`},
		"no zones":                 {[]string{`"zones": 2`, `"zones": 0`}, "network.zones is 0, allowed: 1 to 3"},
		"too many zones":           {[]string{`"zones": 2`, `"zones": 4`}, "network.zones is 4"},
		"ids in a new network":     {[]string{`"zones": 2`, `"zones": 2, "vpcId": "vpc-0a1b2c3d"`}, `network.vpcId is "vpc-0a1b2c3d", allowed: nothing with network.mode "new"`},
		"route tables in new":      {[]string{`"zones": 2`, `"zones": 2, "routeTableIds": ["rtb-1"]`}, `network.routeTableIds`},
		"CIDR in an existing":      {[]string{newVPC, strings.Replace(existingVPC, `"vpcId"`, `"cidr": "10.0.0.0/16", "vpcId"`, 1)}, `network.cidr is "10.0.0.0/16", allowed: nothing with network.mode "existing"`},
		"zones in an existing":     {[]string{newVPC, strings.Replace(existingVPC, `"vpcId"`, `"zones": 1, "vpcId"`, 1)}, "network.zones"},
		"group in an existing":     {[]string{newVPC, strings.Replace(existingVPC, `"vpcId"`, `"keepDefaultSecurityGroup": true, "vpcId"`, 1)}, "network.keepDefaultSecurityGroup"},
		"VPC id":                   {[]string{newVPC, strings.Replace(existingVPC, `vpc-0a1b2c3d`, `main`, 1)}, `network.vpcId is "main", allowed: an id such as vpc-0a1b2c3d`},
		"subnet id":                {[]string{newVPC, strings.Replace(existingVPC, `subnet-0a1b2c3d`, ``, 1)}, `network.subnetId is ""`},
		"zone of the subnet":       {[]string{newVPC, strings.Replace(existingVPC, `eu-central-1a`, `eu-central-1`, 1)}, `network.availabilityZone is "eu-central-1"`},
		"route table id":           {[]string{newVPC, strings.Replace(existingVPC, `rtb-0a1b2c3d`, `main`, 1)}, `network.routeTableIds[0] is "main"`},
		"worker type":              {[]string{`G.1X`, `Standard`}, `jobs.workerType is "Standard", allowed: G.1X, G.2X`},
		"one worker":               {[]string{`"workers": 2`, `"workers": 1`}, "jobs.workers is 1, allowed: 2 to 299"},
		"timeout":                  {[]string{`"timeoutMinutes": 30`, `"timeoutMinutes": 0`}, "jobs.timeoutMinutes is 0, allowed: 1 to 10080"},
		"Flex on large workers":    {[]string{`G.1X`, `G.8X`}, "jobs.flex is true, allowed: false with workerType G.8X"},
		"engine":                   {[]string{`"flex": true`, `"flex": true, "engine": "polars"`}, `jobs.engine is "polars", allowed: auto, duckdb, spark`},
		"no engine":                {[]string{`"flex": true`, `"flex": true, "engine": ""`}, `jobs.engine is "", allowed: auto, duckdb, spark`},
		"Spark from nothing":       {[]string{`"flex": true`, `"flex": true, "sparkFromGiB": 0`}, `jobs.sparkFromGiB is 0, allowed: a number of GiB above 0, such as 4 or 0.5`},
		"Spark from less":          {[]string{`"flex": true`, `"flex": true, "sparkFromGiB": -1.5`}, `jobs.sparkFromGiB is -1.5`},
		"Spark from text":          {[]string{`"flex": true`, `"flex": true, "sparkFromGiB": "4"`}, `dev.jobs.sparkFromGiB: got "4", want a number`},
		"CIDR without network":     {[]string{newVPC, `{"mode": "none", "cidr": "10.0.0.0/16"}`}, `network.cidr is "10.0.0.0/16", allowed: nothing with network.mode "none"`},
		"id without network":       {[]string{newVPC, `{"mode": "none", "vpcId": "vpc-0a1b2c3d"}`}, `network.vpcId is "vpc-0a1b2c3d"`},
		"endpoints of nothing":     {[]string{newVPC, `{"mode": "none", "privateEndpoints": true}`}, "network.privateEndpoints"},
		"scan limit":               {[]string{`"scanLimitGB": 10`, `"scanLimitGB": 0`}, "queries.scanLimitGB is 0, allowed: 1 or more"},
		"everybody reads":          {[]string{`"queries"`, `"readers": {"research": ["*"]}, "queries"`}, `readers.research[0] is "*", allowed: the ARN of a role, user or account`},
		"every role reads":         {[]string{`"queries"`, `"readers": {"customers": ["arn:aws:iam::111122223333:role/*"]}, "queries"`}, `readers.customers[0]`},
		"catalog key that goes":    {[]string{`"queries"`, `"catalogEncryption": true, "queries"`}, `catalogEncryption is true, allowed: false unless dataRemoval is "retain"`},
		"old versions too long":    {[]string{`"snapshots": 3`, `"snapshots": 4`}, "erasureDays is 20, allowed: 21 or more: the sum of retentionDays.snapshots (4)"},
		"old files too long":       {[]string{`"noncurrentObjects": 7`, `"noncurrentObjects": 8`}, "erasureDays is 20, allowed: 21 or more"},
		"results too long":         {[]string{`"queryResults": 7`, `"queryResults": 8`}, "erasureDays is 20, allowed: 21 or more"},
		"erasure on workdays":      {[]string{`0 4 * * ? *`, `0 4 ? * MON-FRI *`}, `start.cron is "0 4 ? * MON-FRI *", allowed: with erasureDays (20) every day`},
		"erasure once a month":     {[]string{`0 4 * * ? *`, `0 4 1 * ? *`}, `start.cron is "0 4 1 * ? *", allowed: with erasureDays`},
		"erasure when files land":  {[]string{`"cron": "0 4 * * ? *", "timeZone": "Europe/Berlin", `, ``}, `start.cron is "", allowed: with erasureDays`},
		"requests open for ever":   {[]string{`"queries"`, `"erasure": {"openDays": 31}, "queries"`}, "erasure.openDays is 31, allowed: 1 to 30"},
		"requests never open":      {[]string{`"queries"`, `"erasure": {"openDays": 0}, "queries"`}, "erasure.openDays is 0, allowed: 1 to 30"},
		"erasure without a word":   {[]string{`"queries"`, `"erasure": {}, "queries"`}, "erasure.openDays"},
		"snapshots":                {[]string{`"snapshots": 3`, `"snapshots": 0`}, "retentionDays.snapshots is 0"},
		"quarantine":               {[]string{`"quarantine": 30`, `"quarantine": 0`}, "retentionDays.quarantine is 0"},
		"noncurrent":               {[]string{`"noncurrentObjects": 7`, `"noncurrentObjects": 0`}, "retentionDays.noncurrentObjects is 0"},
		"results":                  {[]string{`"queryResults": 7`, `"queryResults": -1`}, "retentionDays.queryResults is -1"},
		"access logs":              {[]string{`"accessLogs": 30`, `"accessLogs": 0`}, "retentionDays.accessLogs is 0"},
		"cron of five fields":      {[]string{`0 4 * * ? *`, `0 4 * * *`}, `start.cron is "0 4 * * *", allowed: the six fields`},
		"time zone":                {[]string{`Europe/Berlin`, `Berlin`}, `start.timeZone is "Berlin"`},
		"looking all the time":     {[]string{`"landingMinutes": 30`, `"landingMinutes": 1`}, "start.landingMinutes is 1, allowed: 5 to 1440, or 0"},
		"e-mail":                   {[]string{`oncall@example.com`, `On Call <oncall@example.com>`}, `alerts.emails[0] is "On Call <oncall@example.com>"`},
		"no longest run":           {[]string{`"runMinutes": 60`, `"runMinutes": 0`}, "alerts.runMinutes is 0, allowed: 1 or more"},
		"quarantined rows":         {[]string{`"quarantinedRows": 10`, `"quarantinedRows": -1`}, "alerts.quarantinedRows is -1"},
		"nothing for too long":     {[]string{`"nothingHours": 48`, `"nothingHours": 169`}, "alerts.nothingHours is 169, allowed: 1 to 168, or 0"},
		"budget":                   {[]string{`"monthlyBudgetUSD": 50`, `"monthlyBudgetUSD": -1`}, "monthlyBudgetUSD is -1"},
		"logs":                     {[]string{`"logs": 30`, `"logs": 31`}, "retentionDays.logs is 31, allowed: one of 1 3 5 7 14 30"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.replacements...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v\nwant it to contain %q", err, test.want)
			}
		})
	}
}

func TestCheckRoom(t *testing.T) {
	for name, test := range map[string]struct {
		replacements []string
		tables       int
		want         string
	}{
		"as many workers as fit": {[]string{`10.40.0.0/22`, `10.40.0.0/24`, `"zones": 2`, `"zones": 3`, `"workers": 2`, `"workers": 9`}, 5, ""},
		"one worker more":        {[]string{`10.40.0.0/22`, `10.40.0.0/24`, `"zones": 2`, `"zones": 3`, `"workers": 2`, `"workers": 10`}, 5, "jobs.workers is 10, allowed: at most 9 in subnets of /26, which have 59 addresses for the 6 runs"},
		"two tables more":        {[]string{`10.40.0.0/22`, `10.40.0.0/24`, `"zones": 2`, `"zones": 3`, `"workers": 2`, `"workers": 9`}, 7, "at most 7 in subnets of /26, which have 59 addresses for the 8 runs"},
		"erasure runs twice":     {[]string{`10.40.0.0/22`, `10.40.0.0/24`, `"zones": 2`, `"zones": 3`, `"workers": 2`, `"workers": 9`, `"queries"`, `"erasure": {"openDays": 20}, "queries"`}, 5, "at most 7 in subnets of /26, which have 59 addresses for the 8 runs"},
		"no room for endpoints":  {[]string{`10.40.0.0/22`, `10.40.0.0/24`, `"zones": 2`, `"zones": 1, "privateEndpoints": true`, `"workers": 2`, `"workers": 42`}, 5, "at most 41 in subnets of /24, which have 249 addresses"},
		"a network of others":    {[]string{newVPC, existingVPC, `"workers": 2`, `"workers": 299`}, 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stage, err := load(t, test.replacements...)
			if err != nil {
				t.Fatal(err)
			}
			if err := stage.CheckRoom(test.tables); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error = %v\nwant it to contain %q", err, test.want)
			}
		})
	}
}

func TestLoadReportsEveryMistake(t *testing.T) {
	_, err := load(t, `"workers": 2`, `"workers": 1`, `"zones": 2`, `"zones": 9`)
	if err == nil || !strings.Contains(err.Error(), "jobs.workers") || !strings.Contains(err.Error(), "network.zones") {
		t.Errorf("error = %v, want both mistakes", err)
	}
}

func TestProjectStages(t *testing.T) {
	file, err := os.ReadFile("../../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dev", "prod", "local"} {
		var project struct {
			Context map[string]any `json:"context"`
		}
		if err := json.Unmarshal(file, &project); err != nil {
			t.Fatal(err)
		}
		project.Context["stage"] = name
		stage, err := config.Load(project.Context)
		if err != nil {
			t.Errorf("stage %s: %v", name, err)
		}
		if name == "local" && (stage.Account != "000000000000" || stage.Region != "us-east-1" || !stage.Network.KeepDefaultSecurityGroup ||
			stage.DataRemoval != config.DeleteIfEmpty || !stage.Jobs.PackagesInstalled) {
			t.Errorf("stage local is %+v, want what the embedded AWS can run: its account and Region, no functions, the packages of this machine", stage)
		}
		if name != "local" && stage.Jobs.PackagesInstalled {
			t.Errorf("stage %s brings Glue no packages, and without them no job runs on DuckDB", name)
		}
		if name == config.Production && stage.ErasureDays == 0 {
			t.Error("prod does not promise when deleted rows are gone")
		}
	}
}
