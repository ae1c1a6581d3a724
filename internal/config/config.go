// Package config holds the stages: named, typed settings of one deployment, written in cdk.json under the context key "stages"
// and chosen with -c stage=NAME. Constructs and stacks see only what this package returns: main.go
// loads a stage and gives it to the stacks.
package config

// What happens to the data when a stack that holds it is destroyed.
const (
	// Retain keeps buckets, key, tables and logs when the stack goes.
	Retain = "retain"
	// Delete removes everything; a function of the CDK empties the buckets first.
	Delete = "delete"
	// DeleteIfEmpty removes everything, but a bucket with objects in it blocks the removal. For where functions cannot run.
	DeleteIfEmpty = "delete-if-empty"
)

// When a customer's consent lets a reading pass (rule R3).
const (
	AsOf = "as-of" // readings made on or after the day of consent
	Ever = "ever"  // all readings of a customer who consented, whenever they were made
)

// What computes in a job.
const (
	AutoEngine   = "auto"   // DuckDB, or Spark for a run that reads Jobs.SparkFromGiB or more
	DuckDBEngine = "duckdb" // one process on the driver
	SparkEngine  = "spark"  // all workers
)

// defaultSparkFromGiB is a size that DuckDB computes well on the driver of the smallest worker, which has 16 GB.
const defaultSparkFromGiB = 4

// How the jobs get a network.
const (
	NewNetwork      = "new"      // a VPC of their own
	ExistingNetwork = "existing" // a VPC that is already there
	NoNetwork       = "none"     // Glue's own network: no VPC, no connection, no network stack
)

// Stage is the configuration of one deployment.
type Stage struct {
	Name          string        `json:"-"`                 // the key under "stages"
	Account       string        `json:"account,omitempty"` // 12 digits; empty: the account of the CLI's credentials
	Region        string        `json:"region,omitempty"`  // e.g. eu-central-1, not one of China; empty: the Region of the CLI's environment
	LakeName      string        `json:"lakeName"`          // names stacks, database, workgroup and state machine
	ConsentGate   string        `json:"consentGate"`       // AsOf or Ever
	DataRemoval   string        `json:"dataRemoval"`       // Retain, Delete or DeleteIfEmpty
	Network       Network       `json:"network"`
	Jobs          Jobs          `json:"jobs"`
	Start         Start         `json:"start,omitzero"`
	Alerts        Alerts        `json:"alerts"`
	Queries       Queries       `json:"queries"`
	Readers       Readers       `json:"readers,omitzero"`
	RetentionDays RetentionDays `json:"retentionDays"`
	// ErasureDays is the promise: what a job or a person deletes is physically gone after so many days at most. Snapshot expiry,
	// noncurrent objects, query results and the schedule are held to it. 0: nothing is promised.
	ErasureDays int `json:"erasureDays,omitempty"`
	// Erasure erases people who ask for it out of all that is kept, at once and with a proof (R17). Absent: nobody does; the requests
	// stay where they are.
	Erasure *Erasure `json:"erasure,omitempty"`
	// CatalogEncryption encrypts the Glue Data Catalog with the lake's key: all of it, for the whole account and Region, other
	// databases included.
	CatalogEncryption bool `json:"catalogEncryption,omitempty"`
	// MonthlyBudgetUSD is what the lakehouse's services may cost in a month before the topic hears of it; 0: no budget. GovCloud has
	// none: a warning says so.
	MonthlyBudgetUSD int `json:"monthlyBudgetUSD,omitempty"`
}

// Start says what starts the pipeline besides people. The zero value: nothing.
type Start struct {
	Cron     string `json:"cron,omitempty"`     // six fields of an EventBridge cron expression, e.g. "0 4 * * ? *"; empty: no schedule
	TimeZone string `json:"timeZone,omitempty"` // of the cron expression, e.g. Europe/Berlin; empty: UTC
	// LandingMinutes is how often to look whether files have landed: what landed in between makes one run. 0: never.
	LandingMinutes int `json:"landingMinutes,omitempty"`
}

// Erasure says how requests to be forgotten are answered.
type Erasure struct {
	OpenDays int `json:"openDays"` // a request that is open for longer is told; 1 to 30
}

// Alerts says whom to tell and when.
type Alerts struct {
	Emails          []string `json:"emails,omitempty"`       // subscribe to the topic; each has to confirm once
	RunMinutes      int      `json:"runMinutes"`             // a run that took longer is too long
	QuarantinedRows int      `json:"quarantinedRows"`        // more rows than this in quarantine within an hour are too many
	NothingHours    int      `json:"nothingHours,omitempty"` // nothing read for so long, up to 168, means that nothing arrived; 0: never
}

// Network tells where the jobs run. With mode "new" give cidr and zones, with mode "existing" the ids, with mode "none" nothing.
type Network struct {
	Mode string `json:"mode"` // NewNetwork, ExistingNetwork or NoNetwork

	// PrivateEndpoints makes interface endpoints for Glue and CloudWatch in the jobs' subnets, and lets the jobs call AWS through
	// them instead of through Glue's proxy. They cost money by the hour; see docs/cost.md. Modes "new" and "existing".
	PrivateEndpoints bool `json:"privateEndpoints,omitempty"`

	// Mode "new".
	CIDR  string `json:"cidr,omitempty"`  // IPv4 block of the VPC, /16 to /24, shared evenly by the zones
	Zones int    `json:"zones,omitempty"` // number of availability zones, 1 to 3, with one subnet each
	// JobZone is the one of the zones whose subnet the jobs use, counted from 1; 0: the first. See docs/decisions/0015.
	JobZone int `json:"jobZone,omitempty"`
	// KeepDefaultSecurityGroup leaves the VPC's default security group as AWS makes it (open to its own members, which are
	// none). Closing it takes a function, so only an environment without functions sets this.
	KeepDefaultSecurityGroup bool `json:"keepDefaultSecurityGroup,omitempty"`

	// Mode "existing".
	VPCID            string `json:"vpcId,omitempty"`
	SubnetID         string `json:"subnetId,omitempty"`         // where the jobs' network interfaces are made
	AvailabilityZone string `json:"availabilityZone,omitempty"` // of the subnet
	// RouteTableIDs get an S3 gateway endpoint whose policy allows the lake's buckets only. Empty: the VPC has its own way to S3.
	RouteTableIDs []string `json:"routeTableIds,omitempty"`
}

// Jobs sizes every Glue job.
type Jobs struct {
	WorkerType     string `json:"workerType"`     // e.g. G.1X: 4 vCPU, 16 GB
	Workers        int    `json:"workers"`        // 2 or more; one of them is the driver. Glue uses fewer when fewer will do
	TimeoutMinutes int    `json:"timeoutMinutes"` // a run is stopped after so long
	Flex           bool   `json:"flex,omitempty"` // cheaper spare capacity, which may be slow to start; G.1X and G.2X only
	// Engine is AutoEngine, DuckDBEngine or SparkEngine; absent: AutoEngine. SparkFromGiB is the size of the data to be read, in GiB,
	// from which AutoEngine takes Spark; above 0, absent: 4.
	Engine       string  `json:"engine,omitempty"`
	SparkFromGiB float64 `json:"sparkFromGiB,omitempty"`
	// PackagesInstalled says that Python finds the packages of the DuckDB engine where the jobs run, so that none are uploaded. On AWS
	// Glue it does not; only the embedded AWS sets this.
	PackagesInstalled bool `json:"packagesInstalled,omitempty"`
	// TrustThisAccountOnly lets Glue take a job's role only for this account's jobs, and the role of catalogEncryption only for this
	// account. See docs/operations.md before switching it on.
	TrustThisAccountOnly bool `json:"trustThisAccountOnly,omitempty"`
}

// Queries limits what people do in Athena.
type Queries struct {
	ScanLimitGB int `json:"scanLimitGB"` // a query that reads more (GiB) is stopped; 1 or more
}

// Readers names who may assume the roles of analysts, as ARNs of IAM principals. A role without any trusts the account itself:
// who may assume it is then up to the account's own IAM policies.
type Readers struct {
	Research  []string `json:"research,omitempty"`  // sees curated tables without personal data, and the ledger of the runs
	Customers []string `json:"customers,omitempty"` // sees all curated and trusted tables
}

// RetentionDays says after how many days things expire.
type RetentionDays struct {
	Snapshots         int `json:"snapshots"`         // versions of an Iceberg table: an erased row leaves the table's history after so long
	Quarantine        int `json:"quarantine"`        // quarantined rows; a job deletes them
	NoncurrentObjects int `json:"noncurrentObjects"` // overwritten and deleted objects: the file of an erased row is gone after so long
	QueryResults      int `json:"queryResults"`      // results of Athena queries
	AccessLogs        int `json:"accessLogs"`        // the buckets' access logs
	Logs              int `json:"logs"`              // logs of jobs and state machine; a number that CloudWatch knows
}
