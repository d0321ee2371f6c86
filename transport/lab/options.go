package main

import "regexp"

// options are the command line.
type options struct {
	run     *regexp.Regexp
	short   bool
	list    bool
	write   bool
	verbose bool
	jobs    int
}
