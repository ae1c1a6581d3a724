package main

import (
	"fmt"
	"math/rand/v2"
)

// Streams of random numbers, apart from each other so that the number of files changes where rows go and nothing else.
const (
	streamPlanting uint64 = iota
	streamPlacing
)

// generate streams household by household: plant, account, write. Memory does not grow with the people.
func generate(opts options) (*ledger, error) {
	out, err := openOutput(opts.out, opts.files, opts.force)
	if err != nil {
		return nil, err
	}
	total := &ledger{}
	if err := writeHouseholds(opts, total, out); err != nil {
		out.abandon()
		return nil, err
	}
	if err := out.close(); err != nil {
		return nil, err
	}
	return total, total.write(opts.out)
}

func writeHouseholds(opts options, total *ledger, out *output) error {
	people := 0
	for index := 0; people < opts.people; index++ {
		rng := random(opts.seed, index, streamPlanting)
		kind := choose(rng, index, opts.people-people)
		h := plant(rng, kind, index, people, opts.readings)
		h.account(total)

		// Households are delivered in order; what comes late or again may turn up in any file.
		place := random(opts.seed, index, streamPlacing)
		home := people * opts.files / opts.people
		elsewhere := func() int { return place.IntN(opts.files) }
		if err := out.writeHousehold(h, home, elsewhere); err != nil {
			return fmt.Errorf("writing household %d: %w", index, err)
		}
		people += kind.customers()
	}
	return nil
}

// random gives each household numbers of its own, so that one household can be made without those before it.
// PCG is the same on every machine, and Go keeps the sequences of rand.Rand; a golden test of ours would notice a change.
func random(seed uint64, index int, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(index)<<1|stream))
}

// choose casts every kind once, as far as the people suffice, so that small sets hold every case; then by weight.
func choose(rng *rand.Rand, index, room int) kind {
	if index < len(kinds) && kinds[index].customers() <= room {
		return kinds[index]
	}
	for {
		if k := draw(rng); k.customers() <= room {
			return k
		}
	}
}

func draw(rng *rand.Rand) kind {
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := rng.IntN(total)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			return k
		}
	}
	panic("the weights do not add up")
}
