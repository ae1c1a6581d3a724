package config

import (
	"errors"
	"fmt"
	"math/bits"
	"net/mail"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the same time zones on every machine
)

// Production is the stage that removes no data unless it is told so twice.
const Production = "prod"

var (
	accountPattern  = regexp.MustCompile(`^\d{12}$`)
	regionPattern   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	otherPartitions = regexp.MustCompile(`^cn-|^(us|eu)-iso`)
	zonePattern     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d[a-z]$`)
	lakeNamePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	vpcPattern      = regexp.MustCompile(`^vpc-[0-9a-f]+$`)
	subnetPattern   = regexp.MustCompile(`^subnet-[0-9a-f]+$`)
	tablePattern    = regexp.MustCompile(`^rtb-[0-9a-f]+$`)
	readerPattern   = regexp.MustCompile(`^arn:aws(-[a-z-]+)?:iam::\d{12}:(root|(role|user)/[\w+=,.@/-]+)$`)
)

// workerTypes of Spark jobs; the first two may run on Flex.
var workerTypes = []string{"G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X"}

// logDays are the retention times that CloudWatch Logs knows.
var logDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// Smallest and largest VPC: AWS allows no more than /16, and a /24 shared by three zones leaves /26 each.
const (
	minPrefixBits = 16
	maxPrefixBits = 24
	maxZones      = 3
)

// AWS keeps five addresses of every subnet for itself; an interface endpoint takes one.
const (
	reservedAddresses = 5
	endpoints         = 2
)

// slackDays is what passes between the days on which a snapshot, a query result and an old version of it may go and the moments when
// they do: the maintenance of the tables runs once a day, and S3 counts the days of each lifecycle rule from the next midnight (UTC).
const slackDays = 3

const (
	cronFields = 6
	// Looking costs a few state transitions; more often than this would not start a run any sooner than the run before ends.
	minLandingMinutes = 5
	// A CloudWatch alarm looks back a week at most.
	maxAlarmHours = 168
	// GDPR art. 12(3): without undue delay and in any event within one month.
	maxOpenDays = 30
)

func (s Stage) mistakes() []error {
	found := &findings{stage: s.Name}
	found.unless(s.Account == "" || accountPattern.MatchString(s.Account), "account", s.Account, "12 digits, or nothing to use the CLI's account")
	found.errors = append(found.errors, s.regionMistakes()...)
	found.unless(lakeNamePattern.MatchString(s.LakeName) && len(s.LakeName) <= 32, "lakeName", s.LakeName,
		"lower-case letters and digits, words parted by one -, at most 32 characters")
	// Readers may drop what is in a database of such a name.
	found.unless(!strings.HasSuffix(s.LakeName, "-scratch"), "lakeName", s.LakeName, "no name that ends in -scratch, as the readers' databases do")
	found.oneOf("consentGate", s.ConsentGate, AsOf, Ever)
	found.oneOf("dataRemoval", s.DataRemoval, Retain, Delete, DeleteIfEmpty)
	found.unless(!s.CatalogEncryption || s.DataRemoval == Retain, "catalogEncryption", s.CatalogEncryption,
		fmt.Sprintf("false unless dataRemoval is %q: the key of the account's whole catalog must outlive the stack", Retain))
	s.Network.check(found)
	s.Jobs.check(found)
	s.Start.check(found)
	s.Alerts.check(found)
	found.unless(s.Queries.ScanLimitGB >= 1, "queries.scanLimitGB", s.Queries.ScanLimitGB, "1 or more")
	s.Readers.check(found)
	s.RetentionDays.check(found)
	s.checkErasure(found)
	if s.Erasure != nil {
		found.unless(s.Erasure.OpenDays >= 1 && s.Erasure.OpenDays <= maxOpenDays, "erasure.openDays", s.Erasure.OpenDays,
			fmt.Sprintf("1 to %d: the law wants an answer within a month", maxOpenDays))
	}
	found.unless(s.MonthlyBudgetUSD >= 0, "monthlyBudgetUSD", s.MonthlyBudgetUSD, "US dollars, or 0 for no budget")
	return found.errors
}

// CheckRegion refuses a Region that the lakehouse is not made for. Load does so too; a Region that the CLI fills in later is checked by
// this alone.
func (s Stage) CheckRegion() error {
	return errors.Join(s.regionMistakes()...)
}

// regionMistakes refuses what is no Region, and every partition of AWS but two. The names of services and their principals, and which
// services there are, differ in the others, and nothing of it was tried.
func (s Stage) regionMistakes() []error {
	found := &findings{stage: s.Name}
	well := s.Region == "" || regionPattern.MatchString(s.Region)
	found.unless(well, "region", s.Region, "a Region such as eu-central-1, or nothing to use the CLI's")
	found.unless(!well || otherPartitions.FindString(s.Region) == "", "region", s.Region,
		"a Region of the partitions aws and aws-us-gov: China's (aws-cn) and the isolated ones have other names for services, and are not supported")
	return found.errors
}

// HasBudgets says whether AWS Budgets is where the stage is. It is not in GovCloud, whose costs are on the bill of a standard account.
func (s Stage) HasBudgets() bool {
	return !strings.HasPrefix(s.Region, "us-gov-")
}

// checkErasure holds what is left of a deleted row to the promise: the table's old versions, and the copies in query results and
// scratch tables. They follow one another: a reader may query an old version on its last day. An object that expires becomes noncurrent
// first. The maintenance is part of a run, so one has to start every day.
func (s Stage) checkErasure(found *findings) {
	if s.ErasureDays == 0 {
		return
	}
	fields := strings.Fields(s.Start.Cron)
	daily := len(fields) == cronFields && !slices.ContainsFunc(fields[2:], func(field string) bool { return field != "*" && field != "?" })
	found.unless(daily, "start.cron", s.Start.Cron, fmt.Sprintf(
		"with erasureDays (%d) every day, such as 0 4 * * ? *: the maintenance at the end of a run is what makes deleted rows go", s.ErasureDays))
	days := s.RetentionDays
	slowest := days.Snapshots + days.QueryResults + days.NoncurrentObjects + slackDays
	found.unless(s.ErasureDays >= slowest, "erasureDays", s.ErasureDays, fmt.Sprintf(
		"%d or more: the sum of retentionDays.snapshots (%d), .queryResults (%d) and .noncurrentObjects (%d), and %d until they are acted on",
		slowest, days.Snapshots, days.QueryResults, days.NoncurrentObjects, slackDays))
}

// CheckRoom wants the subnets of a new VPC to have room for one run of the pipeline: so many Glue jobs that make tables, and with them
// the maintenance and the two runs of the erasure. A job's run takes an address a worker, and its interfaces may linger an hour after
// it; in that hour all may follow one another, in one subnet. With six runs a /26 (64 addresses) has room for 59 / 6 = 9 workers, or
// 57 / 6 = 9 beside two endpoints; a /24 for 251 / 6 = 41.
func (s Stage) CheckRoom(tables int) error {
	if s.Network.Mode != NewNetwork {
		return nil
	}
	runs := tables + 1
	if s.Erasure != nil {
		runs += 2
	}
	block, err := netip.ParsePrefix(s.Network.CIDR)
	if err != nil {
		return fmt.Errorf("stage %q: network.cidr: %w", s.Name, err)
	}
	prefix := block.Bits() + bits.Len(uint(s.Network.Zones-1)) //nolint:gosec // 1 to 3
	free := 1<<(32-prefix) - reservedAddresses
	if s.Network.PrivateEndpoints {
		free -= endpoints
	}
	found := &findings{stage: s.Name}
	found.unless(s.Jobs.Workers*runs <= free, "jobs.workers", s.Jobs.Workers, fmt.Sprintf(
		"at most %d in subnets of /%d, which have %d addresses for the %d runs of jobs that may hold some at a time; or a larger network.cidr",
		free/runs, prefix, free, runs))
	return errors.Join(found.errors...)
}

func (r Readers) check(found *findings) {
	found.principals("readers.research", r.Research)
	found.principals("readers.customers", r.Customers)
}

func (n Network) check(found *findings) {
	switch n.Mode {
	case NewNetwork:
		n.checkNew(found)
	case ExistingNetwork:
		n.checkExisting(found)
	case NoNetwork:
		n.checkNone(found)
	default:
		found.oneOf("network.mode", n.Mode, NewNetwork, ExistingNetwork, NoNetwork)
	}
}

func (n Network) checkNew(found *findings) {
	block, err := netip.ParsePrefix(n.CIDR)
	good := err == nil && block.Addr().Is4() && block.Addr().IsPrivate() && block == block.Masked() &&
		block.Bits() >= minPrefixBits && block.Bits() <= maxPrefixBits
	found.unless(good, "network.cidr", n.CIDR,
		fmt.Sprintf("a private IPv4 block from /%d to /%d such as 10.40.0.0/22, with no bits set after the prefix", minPrefixBits, maxPrefixBits))
	found.unless(n.Zones >= 1 && n.Zones <= maxZones, "network.zones", n.Zones, fmt.Sprintf("1 to %d", maxZones))
	found.unless(n.JobZone >= 0 && n.JobZone <= n.Zones, "network.jobZone", n.JobZone, fmt.Sprintf("1 to network.zones (%d), or nothing for the first", n.Zones))
	n.absentIDs(found)
}

func (n Network) checkNone(found *findings) {
	n.absentIDs(found)
	n.absentSize(found)
	found.absentFlag(NoNetwork, "network.privateEndpoints", n.PrivateEndpoints)
}

// absentIDs refuses the ids of an existing network.
func (n Network) absentIDs(found *findings) {
	found.absent(n.Mode, "network.vpcId", n.VPCID)
	found.absent(n.Mode, "network.subnetId", n.SubnetID)
	found.absent(n.Mode, "network.availabilityZone", n.AvailabilityZone)
	found.absent(n.Mode, "network.routeTableIds", strings.Join(n.RouteTableIDs, ","))
}

// absentSize refuses the measures of a new network.
func (n Network) absentSize(found *findings) {
	found.absent(n.Mode, "network.cidr", n.CIDR)
	if n.Zones != 0 {
		found.absent(n.Mode, "network.zones", strconv.Itoa(n.Zones))
	}
	if n.JobZone != 0 {
		found.absent(n.Mode, "network.jobZone", strconv.Itoa(n.JobZone))
	}
	found.absentFlag(n.Mode, "network.keepDefaultSecurityGroup", n.KeepDefaultSecurityGroup)
}

func (n Network) checkExisting(found *findings) {
	found.unless(vpcPattern.MatchString(n.VPCID), "network.vpcId", n.VPCID, "an id such as vpc-0a1b2c3d")
	found.unless(subnetPattern.MatchString(n.SubnetID), "network.subnetId", n.SubnetID, "an id such as subnet-0a1b2c3d")
	found.unless(zonePattern.MatchString(n.AvailabilityZone), "network.availabilityZone", n.AvailabilityZone, "the subnet's zone, such as eu-central-1a")
	for i, id := range n.RouteTableIDs {
		found.unless(tablePattern.MatchString(id), fmt.Sprintf("network.routeTableIds[%d]", i), id, "an id such as rtb-0a1b2c3d")
	}
	n.absentSize(found)
}

func (j Jobs) check(found *findings) {
	found.oneOf("jobs.workerType", j.WorkerType, workerTypes...)
	found.unless(j.Workers >= 2 && j.Workers <= 299, "jobs.workers", j.Workers, "2 to 299")
	found.unless(j.TimeoutMinutes >= 1 && j.TimeoutMinutes <= 10080, "jobs.timeoutMinutes", j.TimeoutMinutes, "1 to 10080 (7 days, the longest Glue allows)")
	found.unless(!j.Flex || slices.Contains(workerTypes[:2], j.WorkerType), "jobs.flex", j.Flex,
		fmt.Sprintf("false with workerType %s: Flex runs on %s only", j.WorkerType, strings.Join(workerTypes[:2], " and ")))
	found.oneOf("jobs.engine", j.Engine, AutoEngine, DuckDBEngine, SparkEngine)
	found.unless(j.SparkFromGiB > 0, "jobs.sparkFromGiB", j.SparkFromGiB, "a number of GiB above 0, such as 4 or 0.5")
}

func (s Start) check(found *findings) {
	found.unless(s.Cron == "" || len(strings.Fields(s.Cron)) == cronFields, "start.cron", s.Cron,
		"the six fields of an EventBridge cron expression such as 0 4 * * ? *, or nothing for no schedule")
	_, err := time.LoadLocation(s.TimeZone)
	found.unless(err == nil && s.TimeZone != "Local", "start.timeZone", s.TimeZone, "a time zone such as Europe/Berlin, or nothing for UTC")
	found.unless(s.LandingMinutes == 0 || s.LandingMinutes >= minLandingMinutes && s.LandingMinutes <= 1440, "start.landingMinutes", s.LandingMinutes,
		fmt.Sprintf("%d to 1440, or 0 to start nothing when files land", minLandingMinutes))
}

func (a Alerts) check(found *findings) {
	for i, address := range a.Emails {
		parsed, err := mail.ParseAddress(address)
		found.unless(err == nil && parsed.Address == address, fmt.Sprintf("alerts.emails[%d]", i), address, "an e-mail address")
	}
	found.unless(a.RunMinutes >= 1, "alerts.runMinutes", a.RunMinutes, "1 or more")
	found.unless(a.QuarantinedRows >= 0, "alerts.quarantinedRows", a.QuarantinedRows, "0 or more")
	found.unless(a.NothingHours >= 0 && a.NothingHours <= maxAlarmHours, "alerts.nothingHours", a.NothingHours,
		fmt.Sprintf("1 to %d, or 0 for no such alarm", maxAlarmHours))
}

func (r RetentionDays) check(found *findings) {
	const day = "1 or more"
	found.unless(r.Snapshots >= 1, "retentionDays.snapshots", r.Snapshots, day)
	found.unless(r.Quarantine >= 1, "retentionDays.quarantine", r.Quarantine, day)
	found.unless(r.NoncurrentObjects >= 1, "retentionDays.noncurrentObjects", r.NoncurrentObjects, day)
	found.unless(r.QueryResults >= 1, "retentionDays.queryResults", r.QueryResults, day)
	found.unless(r.AccessLogs >= 1, "retentionDays.accessLogs", r.AccessLogs, day)
	found.unless(slices.Contains(logDays, r.Logs), "retentionDays.logs", r.Logs, "one of "+strings.Trim(fmt.Sprint(logDays), "[]"))
}

// findings collects mistakes of one stage, so that all of them are reported at once.
type findings struct {
	stage  string
	errors []error
}

func (f *findings) unless(good bool, key string, got any, allowed string) {
	if good {
		return
	}
	if text, isText := got.(string); isText {
		got = fmt.Sprintf("%q", text)
	}
	f.errors = append(f.errors, fmt.Errorf("stage %q: %s is %v, allowed: %s", f.stage, key, got, allowed))
}

func (f *findings) oneOf(key, got string, allowed ...string) {
	f.unless(slices.Contains(allowed, got), key, got, strings.Join(allowed, ", "))
}

// absent refuses a key that the network's mode would ignore.
func (f *findings) absent(mode, key, got string) {
	f.unless(got == "", key, got, fmt.Sprintf("nothing with network.mode %q", mode))
}

func (f *findings) absentFlag(mode, key string, got bool) {
	if got {
		f.absent(mode, key, "true")
	}
}

func (f *findings) principals(key string, arns []string) {
	for i, arn := range arns {
		f.unless(readerPattern.MatchString(arn), fmt.Sprintf("%s[%d]", key, i), arn,
			"the ARN of a role, user or account such as arn:aws:iam::111122223333:role/analyst, without *")
	}
}
