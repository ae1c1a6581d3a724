package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
)

// dataFindings tell which resources that hold data are deleted, replaced or broken.
func dataFindings(change stackChange) []finding {
	var found []finding
	for _, resource := range change.difference.Resources {
		kind := resource.kind()
		if !cloud.HoldsData(kind) || resource.added() {
			continue
		}
		one := finding{Section: onData, Where: change.where(resource.ID, kind)}
		before := change.before[resource.ID]
		switch resource.Impact {
		case willDestroy:
			one.Verb, one.Text = deletes, "leaves the stack and is deleted"
		case willOrphan:
			one.Verb, one.Text = leaves, "leaves the stack; it stays in the account, but nothing looks after it, and its name is taken"
		case willReplace:
			one.Verb, one.Text = replaces, "is replaced by an empty one: "+resource.because(willReplace)+"; the old one "+oldOne(before)
		case mightReplace:
			one.Verb, one.Text = mayReplace, "may be replaced by an empty one: "+resource.because(mightReplace)+"; the old one then "+oldOne(before)
		default:
			if before.Properties["OpenTableFormatInput"] == nil || len(resource.Properties) == 0 {
				continue
			}
			one.Verb = thaws
			one.Text = "its template is frozen, and an update by CloudFormation breaks an Iceberg table: " + resource.because("")
		}
		found = append(found, one)
	}
	return found
}

// because lists the properties that have an impact; of "" all that change.
func (d resourceDifference) because(impact string) string {
	var names []string
	for _, property := range d.Properties {
		if impact == "" || property.Impact == impact {
			names = append(names, "`"+property.Name+"`")
		}
	}
	if len(names) == 0 {
		return "its type changes"
	}
	return strings.Join(names, ", ") + " " + map[bool]string{true: "changes", false: "change"}[len(names) == 1]
}

func oldOne(r cloud.Resource) string {
	if r.UpdateReplacePolicy == "Retain" || r.UpdateReplacePolicy == "RetainExceptOnCreate" {
		return "stays in the account"
	}
	return "is deleted"
}

var encryption = regexp.MustCompile(`(?i)encrypt|kms|^sse`)

// protectionFindings tell what of the protection of data is taken away: encryption, versions, retention, blocks.
func protectionFindings(change stackChange) []finding {
	var found []finding
	if change.base.Protected && !change.head.Protected && change.head.Name != "" {
		found = append(found, finding{Section: onData, Verb: unprotects, Where: change.part, Text: "the stack is no longer protected from termination"})
	}
	for _, difference := range change.difference.Resources {
		if difference.added() || difference.removed() {
			continue
		}
		before, after := change.before[difference.ID], change.after[difference.ID]
		say := func(format string, args ...any) {
			found = append(found, finding{Section: onData, Verb: unprotects, Where: change.where(difference.ID, before.Type), Text: fmt.Sprintf(format, args...)})
		}
		for _, path := range lostSettings("", before.Properties, after.Properties) {
			say("encryption is taken away or changed: `%s`", path)
		}
		if retained(before.DeletionPolicy) && !retained(after.DeletionPolicy) {
			say("is deleted with its stack; so far it stayed")
		}
		if retained(before.UpdateReplacePolicy) && !retained(after.UpdateReplacePolicy) {
			say("is deleted when it is replaced; so far it stayed")
		}
		switch before.Type {
		case "AWS::S3::Bucket":
			bucketProtection(before, after, say)
		case "AWS::Logs::LogGroup":
			if was, is := days(before.Get("RetentionInDays")), days(after.Get("RetentionInDays")); is < was {
				say("keeps logs for %s, so far for %s: older ones are deleted", daysText(is), daysText(was))
			}
		case "AWS::KMS::Key":
			if before.Get("EnableKeyRotation") == true && after.Get("EnableKeyRotation") != true {
				say("the key is no longer rotated")
			}
			if before.Get("Enabled") != false && after.Get("Enabled") == false {
				say("the key is disabled: what it encrypted cannot be read")
			}
			if was, is := number(before.Get("PendingWindowInDays"), 30), number(after.Get("PendingWindowInDays"), 30); is < was {
				say("waits %g days before it is gone for good, so far %g", is, was)
			}
		case "AWS::Athena::WorkGroup":
			if before.Get("WorkGroupConfiguration", "EnforceWorkGroupConfiguration") == true && after.Get("WorkGroupConfiguration", "EnforceWorkGroupConfiguration") != true {
				say("clients may override the workgroup's settings, encryption among them")
			}
		}
	}
	return found
}

func retained(policy string) bool { return strings.HasPrefix(policy, "Retain") }

func bucketProtection(before, after cloud.Resource, say func(string, ...any)) {
	if before.Get("VersioningConfiguration", "Status") == "Enabled" && after.Get("VersioningConfiguration", "Status") != "Enabled" {
		say("no longer keeps overwritten and deleted versions")
	}
	for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		if before.Get("PublicAccessBlockConfiguration", block) == true && after.Get("PublicAccessBlockConfiguration", block) != true {
			say("public access is no longer blocked: `%s`", block)
		}
	}
	if before.Get("LoggingConfiguration") != nil && after.Get("LoggingConfiguration") == nil {
		say("access to it is no longer logged")
	}
	for _, way := range []string{"AccessControl", "ReplicationConfiguration", "WebsiteConfiguration"} {
		if after.Get(way) != nil && !reflect.DeepEqual(before.Get(way), after.Get(way)) {
			say("its objects get another way out: `%s`", way)
		}
	}
	if before.Get("ObjectLockEnabled") == true && after.Get("ObjectLockEnabled") != true {
		say("objects are no longer locked")
	}
	for _, key := range []string{"ExpirationInDays", "NoncurrentVersionExpiration.NoncurrentDays"} {
		if was, is := expiry(before, key), expiry(after, key); is < was {
			say("objects expire after %s, so far after %s: `%s`", daysText(is), daysText(was), key)
		}
	}
}

// expiry is the shortest time, in days, that the bucket's lifecycle rules give; forever without a rule. Rules for some prefixes only
// count as if they were for all.
func expiry(bucket cloud.Resource, key string) float64 {
	shortest := forever
	rules, _ := bucket.Get("LifecycleConfiguration", "Rules").([]any)
	for _, rule := range rules {
		fields, _ := rule.(map[string]any)
		if fields["Status"] == "Enabled" {
			shortest = min(shortest, days(cloud.Resource{Properties: fields}.Get(strings.Split(key, ".")...)))
		}
	}
	return shortest
}

const forever = 1e9 // days

func days(value any) float64 { return number(value, forever) }

func daysText(days float64) string {
	if days == forever {
		return "ever"
	}
	return fmt.Sprintf("%g days", days)
}

func number(value any, absent float64) float64 {
	if given, ok := value.(float64); ok {
		return given
	}
	return absent
}

// lostSettings are the paths of settings of encryption that were there and are not, or that have another value.
func lostSettings(path string, before, after any) []string {
	fields, ok := before.(map[string]any)
	if !ok {
		return nil
	}
	now, _ := after.(map[string]any)
	var lost []string
	for key, value := range fields {
		here := strings.TrimPrefix(path+"."+key, ".")
		if key == "PolicyDocument" || key == "KeyPolicy" || key == "Policies" {
			continue // conditions of statements; permissionFindings read them
		}
		if !encryption.MatchString(key) {
			lost = append(lost, lostSettings(here, value, now[key])...)
		} else if !reflect.DeepEqual(value, now[key]) {
			lost = append(lost, here)
		}
	}
	slices.Sort(lost)
	return lost
}
