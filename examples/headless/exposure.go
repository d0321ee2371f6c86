package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
)

// exposure writes who could observe what of this member, as JSON. It names people, so nobody else may read it, and no
// file that is there is touched.
func (p *participant) exposure(ctx context.Context, file string) error {
	if file == "" {
		return errors.New("say where to: exposure FILE")
	}
	e, err := p.m.Exposure(ctx)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	if err := writeNew(file, func(f *os.File) error { _, err := f.Write(raw); return err }); err != nil {
		return err
	}
	p.out.event("exposure", exposureData{File: file, Parties: len(e.Parties)}, "wrote what %d parties could observe to %s", len(e.Parties), file)
	return nil
}

type exposureData struct {
	File    string `json:"file"`
	Parties int    `json:"parties"`
}

// writeNew makes a file that only its owner may read, and nothing of it if writing fails.
func writeNew(file string, write func(*os.File) error) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
