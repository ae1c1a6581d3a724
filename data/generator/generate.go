package main

import (
	"fmt"
	"math/rand/v2"
)

// Streams of random numbers, apart from each other so that how rows are delivered changes no row.
const (
	streamPlanting uint64 = 0
	streamPlacing  uint64 = 1
	streamTiming   uint64 = 1 << 63
)

// generate streams household by household: plant, deliver, account, write. Memory does not grow with the people. It gives
// what the tables must hold after every delivery.
func generate(opts options) ([]ledger, error) {
	out, err := openOutput(opts.out, opts.shape, opts.force)
	if err != nil {
		return nil, err
	}
	totals := make([]ledger, opts.deliveries)
	if err := writeHouseholds(opts, totals, out); err != nil {
		out.abandon()
		return nil, err
	}
	if err := out.close(); err != nil {
		return nil, err
	}
	for i := range totals {
		if err := totals[i].write(out.folder(i + 1)); err != nil {
			return nil, err
		}
	}
	return totals, nil
}

func writeHouseholds(opts options, totals []ledger, out *output) error {
	cast := kinds
	if opts.deliveries > 1 {
		cast = kindsOverTime
	}
	people := 0
	for index := 0; people < opts.people; index++ {
		rng := random(opts.seed, index, streamPlanting)
		kind := choose(rng, cast, index, opts.people-people)
		h := plant(rng, kind, index, people, opts.readings, opts.unicode)
		home := people * opts.files / opts.people
		newCourier(opts.shape, home, random(opts.seed, index, streamPlacing), random(opts.seed, index, streamTiming)).deliver(h)
		for i := range totals {
			h.after(i + 1).account(&totals[i])
		}
		if err := out.writeHousehold(h); err != nil {
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
func choose(rng *rand.Rand, cast []kind, index, room int) kind {
	if index < len(cast) && cast[index].customers() <= room {
		return cast[index]
	}
	for {
		if k := draw(rng, cast); k.customers() <= room {
			return k
		}
	}
}

func draw(rng *rand.Rand, cast []kind) kind {
	total := 0
	for _, k := range cast {
		total += k.weight
	}
	at := rng.IntN(total)
	for _, k := range cast {
		if at -= k.weight; at < 0 {
			return k
		}
	}
	panic("the weights do not add up")
}
