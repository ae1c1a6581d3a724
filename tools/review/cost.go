package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"

	"stedi-lakehouse/internal/cloud"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/dpu"
)

//go:embed prices.json
var pricesFile []byte

// prices are AWS's list prices in US dollars.
type prices struct {
	Date    string             `json:"date"`
	Region  string             `json:"region"`
	Source  string             `json:"source"`
	DPUHour map[string]float64 `json:"dpu_hour"` // "standard" and "flex", for versions of Glue before 6.0
	Month   map[string]float64 `json:"month"`    // of a resource that only exists, by type
}

func readPrices() (prices, error) {
	var read prices
	if err := json.Unmarshal(pricesFile, &read); err != nil {
		return prices{}, fmt.Errorf("prices.json: %w", err)
	}
	return read, nil
}

// money is what a stage costs, in US dollars.
type money struct {
	Idle float64 // a month in which nothing runs, without what is stored
	Min  float64 // a run in which every job takes one minute, the least that Glue charges, and nobody is to be erased
	Max  float64 // a run in which every job takes its whole timeout, and who erases people both of its runs
}

// stageCost is a change of cost.
type stageCost struct {
	Stage        string
	Before, Then money
	Unknown      []string // worker types without a price
}

func compareCost(stage string, before, after cloud.Assembly) (stageCost, bool) {
	made := stageCost{Stage: stage}
	table, err := readPrices()
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	for _, old := range before {
		made.Before.add(old, table)
	}
	for _, now := range after {
		made.Unknown = append(made.Unknown, made.Then.add(now, table)...)
	}
	return made, made.Before != made.Then || len(made.Unknown) > 0
}

// add puts the price of a stack's resources on top, and returns the worker types that have none.
func (m *money) add(stack cloud.Stack, table prices) []string {
	var unknown []string
	for _, resource := range stack.Resources {
		switch resource.Type {
		case endpoint:
			if subnets, _ := resource.Get("SubnetIds").([]any); resource.Get("VpcEndpointType") == "Interface" {
				m.Idle += table.Month["AWS::EC2::VPCEndpoint (interface, a subnet)"] * float64(len(subnets))
			}
		case "AWS::Glue::Job":
			worker, _ := resource.Get("WorkerType").(string)
			dpus, known := dpu.OfWorker(worker)
			if !known {
				unknown = append(unknown, worker)
				continue
			}
			hour := dpus * number(resource.Get("NumberOfWorkers"), 0) * dpuPrice(resource, table)
			least, most := 1.0, 1.0 // runs of it
			if resource.Get("Name") == contract.ErasePeople {
				least, most = 0, 2
			}
			m.Min += least * hour / 60
			m.Max += most * hour * number(resource.Get("Timeout"), 480) / 60
		default:
			m.Idle += table.Month[resource.Type]
		}
	}
	m.Idle, m.Min, m.Max = cents(m.Idle), cents(m.Min), cents(m.Max)
	return unknown
}

// dpuPrice is the price of a DPU-hour. Flex is never dearer than its price for older versions, the only one that is published.
func dpuPrice(job cloud.Resource, table prices) float64 {
	price := table.DPUHour["standard"]
	if job.Get("GlueVersion") == "6.0" {
		price = dpu.Dollars
	}
	if job.Get("ExecutionClass") == "FLEX" {
		price = min(price, table.DPUHour["flex"])
	}
	return price
}

// cents rounds to a tenth of a cent, so that sums in another order are the same.
func cents(dollars float64) float64 { return math.Round(dollars*1000) / 1000 }
