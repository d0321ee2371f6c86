//go:build !linux

package main

import (
	"context"
	"errors"
)

func runLab(context.Context, options) error {
	return errors.New("the laboratory is made of Linux network namespaces: run it on Linux, as root")
}
