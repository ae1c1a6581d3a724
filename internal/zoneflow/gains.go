package zoneflow

import (
	"cmp"
	"slices"
	"strings"

	"stedi-lakehouse/internal/cloud"
)

// Gain is a right that somebody has in a later version of an app and had not in an earlier one.
type Gain struct {
	Holder string // as cloud.Statement names it: a job that is given another role gains nothing here
	Right  Right
	Table  string       // or results of a workgroup, tables in a scratch database, or an Object of the erasure
	Policy cloud.Policy // which gives the right
	Sid    string       // of the statement in it
}

// Gains compares the rights of two versions on what both have, and on what the erasure keeps beside it, by holder, right and table.
func Gains(before, after cloud.Assembly) ([]Gain, error) {
	old, _, err := targets(before)
	if err != nil {
		return nil, err
	}
	kept, _, err := targets(after)
	if err != nil {
		return nil, err
	}
	kept = slices.DeleteFunc(kept, func(now target) bool {
		return !slices.ContainsFunc(old, func(was target) bool { return was.name == now.name })
	})
	had, has := rights(before, slices.Concat(old, beside(old)), nil, nil), rights(after, slices.Concat(kept, beside(kept)), nil, nil)
	var gains []Gain
	for holder, places := range has {
		for table, rights := range places {
			for right, by := range rights {
				if _, known := had[holder][table][right]; !known {
					gains = append(gains, Gain{holder, right, table, by.policy, by.sid})
				}
			}
		}
	}
	slices.SortFunc(gains, func(a, b Gain) int {
		return cmp.Or(strings.Compare(a.Holder, b.Holder), strings.Compare(string(a.Right), string(b.Right)), strings.Compare(a.Table, b.Table))
	})
	return gains, nil
}
