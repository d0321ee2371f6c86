package main

import (
	"errors"
	"regexp"
)

// options are the command line.
type options struct {
	run     *regexp.Regexp
	short   bool
	list    bool
	write   bool
	verbose bool
	jobs    int
}

// check refuses what can't be meant: a table of a few would take the place of that of all.
func (o options) check() error {
	if o.write && (o.run != nil || o.short) {
		return errors.New("-write replaces the whole table, so it doesn't go with -run or -short: run everything, or leave -write out")
	}
	return nil
}
