package main

import (
	"math/rand/v2"
	"slices"
)

// file is an object of a source: the delivery that first brings it, from 1, and its number therein.
type file struct{ delivery, number int }

// place is when a file holds a row: from delivery `since` on, until delivery `until` brings the file without it (0: never).
type place struct {
	file         file
	since, until int
}

func (p place) heldAfter(delivery int) bool {
	return p.since <= delivery && (p.until == 0 || delivery < p.until)
}

// shape is how many deliveries there are, and how many files of a source each of them brings.
//
// With several deliveries, each but the first one also brings the first file of the delivery before once more, under
// another name (replayed), and the last file of the delivery before under its own name with other content: rows
// were added, or put right (changed).
type shape struct{ deliveries, files int }

func (s shape) replayed(f file) bool { return f.number == 0 && f.delivery < s.deliveries }
func (s shape) changed(f file) bool  { return f.number == s.files-1 && f.delivery < s.deliveries }
func (s shape) packed(f file) bool   { return f.number == s.files-1 && s.files > 1 }

// index is the file's number among all files of its source.
func (s shape) index(f file) int { return (f.delivery-1)*(s.files+1) + f.number }

// Chances in a thousand of what happens to a row on its way, with several deliveries.
const (
	chanceFromStart   = 500 // a household is there from the first delivery on
	chanceRecordLate  = 200 // a customer record comes after the one that follows it
	chanceReadingLate = 100 // a reading comes in a later delivery than those around it
	chanceAdded       = 100 // a row is added to a file of the delivery before
	chanceCorrected   = 100 // a customer's latest record comes wrong at first
	chanceMisread     = 10  // a distance comes wrong at first
)

// courier decides when and in which file each row of a household comes. Its two streams of random numbers are apart so that
// the number of files changes where rows go, and not when.
type courier struct {
	shape
	first       int // the delivery with the household's first rows
	home        int // the number of the files that its rows come in, as a rule
	where, when *rand.Rand
}

func newCourier(s shape, home int, where, when *rand.Rand) *courier {
	c := &courier{shape: s, first: 1, home: home, where: where, when: when}
	if !chance(when, chanceFromStart) {
		c.first = c.from(1)
	}
	return c
}

// from is one of the deliveries from the given one on.
func (c *courier) from(delivery int) int { return delivery + c.when.IntN(c.deliveries-delivery+1) }

func (c *courier) elsewhere() int { return c.where.IntN(c.files) }

// deliver gives every copy of every row its place.
func (c *courier) deliver(h *household) {
	for i, at := range c.recordDeliveries(h) {
		c.put(h.records[i].copies, at, h.records[i].latest)
	}
	for _, s := range h.samples {
		c.put(s.copies, c.readingDelivery(s.tick, len(h.ticks)), true)
	}
	for _, s := range h.steps {
		c.put(s.copies, c.readingDelivery(s.tick, len(h.ticks)), true)
		c.elsewhere() // not used; without it, data/sample would become another one
	}
	if c.deliveries > 1 {
		c.correctRecords(h)
		c.correctSteps(h)
		h.each(c.replay)
	}
}

// recordDeliveries gives the delivery of every record: of a person one after the other, as a rule.
func (c *courier) recordDeliveries(h *household) []int {
	at := make([]int, len(h.records))
	for i, r := range h.records {
		late := chance(c.when, chanceRecordLate)
		switch {
		case i > 0 && h.records[i-1].person == r.person:
			at[i] = c.from(at[i-1])
			if late {
				at[i-1], at[i] = at[i], at[i-1]
			}
		case late:
			at[i] = c.from(c.first)
		default:
			at[i] = c.first
		}
	}
	return at
}

// readingDelivery spreads the ticks evenly over the deliveries that the household has.
func (c *courier) readingDelivery(tick, ticks int) int {
	at := c.first + tick*(c.deliveries-c.first+1)/ticks
	if chance(c.when, chanceReadingLate) {
		return c.from(at)
	}
	return at
}

// put places a row's copies: the original in the given delivery, in a home file or any other one; the others anywhere, not
// before it.
func (c *courier) put(copies []copied, delivery int, home bool) {
	for i := range copies {
		at, number := delivery, c.home
		if i > 0 {
			at = c.from(delivery)
		}
		if i > 0 || !home {
			number = c.elsewhere()
		}
		from := file{at, number}
		if at > 1 && chance(c.when, chanceAdded) {
			from = file{at - 1, c.files - 1}
		}
		copies[i].place = place{file: from, since: at}
	}
}

// correctRecords lets some people's latest record come first with the opposite of what they said about research. The
// corrected one counts as the newer one, should a replayed file keep the wrong one.
func (c *courier) correctRecords(h *household) {
	for i := range h.records {
		original := &h.records[i].copies[0].place
		if !h.records[i].latest || original.since == c.deliveries || !chance(c.when, chanceCorrected) {
			continue
		}
		wrong := h.records[i]
		wrong.latest = false
		wrong.research, wrong.from = share{}, noConsent
		if h.records[i].from == noConsent {
			wrong.research, wrong.from = given(wrong.person.registered), 0
		}
		wrong.copies = []copied{{spelling: wrong.copies[0].spelling, place: c.correct(original)}}
		h.records[i].updated++
		h.records = append(h.records, wrong)
	}
}

// correctSteps lets some distances come wrong first.
func (c *courier) correctSteps(h *household) {
	for i := range h.steps {
		original := &h.steps[i].copies[0].place
		if original.since < c.deliveries && chance(c.when, chanceMisread) {
			wrong := copied{distance: newDistance(c.when), place: c.correct(original)}
			h.steps[i].copies = append(h.steps[i].copies, wrong)
		}
	}
}

// correct moves a row to the next version of a file, and gives the place of the wrong row in the first one.
func (c *courier) correct(original *place) (wrong place) {
	at := original.since
	changing := file{at, c.files - 1}
	*original = place{file: changing, since: at + 1}
	return place{file: changing, since: at, until: at + 1}
}

// replay copies what the first version of a replayed file holds into its twin.
func (c *courier) replay(_ int, copies *[]copied) {
	for _, one := range slices.Clone(*copies) {
		if c.replayed(one.file) && one.since == one.file.delivery {
			next := one.file.delivery + 1
			one.place = place{file: file{next, c.files}, since: next}
			*copies = append(*copies, one)
		}
	}
}

// after is the household as far as it has been delivered: without rows that have not come yet or were taken back.
func (h *household) after(delivery int) *household {
	held := &household{ticks: h.ticks, people: h.people}
	for _, r := range h.records {
		if r.copies = heldAfter(delivery, r.copies); len(r.copies) > 0 {
			held.records = append(held.records, r)
		}
	}
	for _, s := range h.samples {
		if s.copies = heldAfter(delivery, s.copies); len(s.copies) > 0 {
			held.samples = append(held.samples, s)
		}
	}
	for _, s := range h.steps {
		if s.copies = heldAfter(delivery, s.copies); len(s.copies) > 0 {
			held.steps = append(held.steps, s)
		}
	}
	return held
}

func heldAfter(delivery int, copies []copied) (held []copied) {
	for _, c := range copies {
		if c.heldAfter(delivery) {
			held = append(held, c)
		}
	}
	return held
}
