package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	var o options
	flag.Func("run", "only what matches this regular expression", func(s string) (err error) {
		o.run, err = regexp.Compile(s)
		return err
	})
	flag.BoolVar(&o.short, "short", false, "a few cells, for iteration")
	flag.BoolVar(&o.list, "list", false, "list the cells and scenarios")
	flag.BoolVar(&o.write, "write", false, "write the tables into transport/NETWORKS.md")
	flag.BoolVar(&o.verbose, "v", false, "say more")
	flag.IntVar(&o.jobs, "jobs", 3, "cells at a time")
	flag.Parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := runLab(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}
