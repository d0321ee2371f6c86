package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// licenceFile matches the names of files that hold a module's terms, or what it wants to be passed on with them.
var licenceFile = regexp.MustCompile(`(?i)^(un)?licen[sc]e|^copying|^notice|^copyright|^patents`)

// licences are recognised by sentences that each must hold, without regard to case and line breaks.
var licences = []struct {
	id        string
	sentences []string
	without   string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0"}, ""},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name"}, ""},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}, "neither the name"},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose", "provided that the above copyright notice"}, ""},
	{"ISC", []string{"permission to use, copy, modify, and distribute this software for any purpose", "provided that the above copyright notice"}, ""},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice"}, ""},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0"}, ""},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, ""},
}

// spdx matches the line by which a text names its licences itself.
var spdx = regexp.MustCompile(`(?i)SPDX-License-Identifier: ([\w.+ -]+)`)

// recognise names the licences whose text is in a file, by their SPDX identifiers.
func recognise(text string) []string {
	plain := strings.ToLower(strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " "))
	var found []string
	for _, l := range licences {
		holds := l.without == "" || !strings.Contains(plain, l.without)
		for _, s := range l.sentences {
			holds = holds && strings.Contains(plain, s)
		}
		for _, m := range spdx.FindAllStringSubmatch(text, -1) {
			holds = holds || slices.Contains(strings.Fields(m[1]), l.id)
		}
		if holds && !slices.Contains(found, l.id) {
			found = append(found, l.id)
		}
	}
	return found
}

// terms are the licences of one module, and their texts.
type terms struct {
	ids   []string // sorted; empty if none was recognised
	texts string
}

// termsIn reads the licence files at the top of dir.
func termsIn(dir string) (terms, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return terms{}, err
	}
	var t terms
	for _, f := range files { // sorted by name
		if !f.Type().IsRegular() || !licenceFile.MatchString(f.Name()) || filepath.Ext(f.Name()) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return terms{}, err
		}
		t.ids = append(t.ids, recognise(string(text))...)
		t.texts += fmt.Sprintf("--- %s\n\n%s\n\n", f.Name(), strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	slices.Sort(t.ids)
	t.ids = slices.Compact(t.ids)
	return t, nil
}

// moduleDir is where a module lies in the module cache, whose paths write capitals as "!" and the small letter.
func (tc toolchain) moduleDir(path, version string) string {
	escape := func(s string) string {
		return regexp.MustCompile(`[A-Z]`).ReplaceAllStringFunc(s, func(c string) string { return "!" + strings.ToLower(c) })
	}
	return filepath.Join(tc.modCache, filepath.FromSlash(escape(path))+"@"+escape(version))
}

// terms returns those of a linked module; of Go itself for "std", of huisclos for "".
func (tc toolchain) terms(path, version string) (terms, error) {
	dir := tc.moduleDir(path, version)
	switch path {
	case "":
		dir = tc.root
	case "std":
		dir = tc.goroot
	}
	t, err := termsIn(dir)
	if path == "std" && (errors.Is(err, fs.ErrNotExist) || err == nil && t.texts == "") {
		// Distributions that package Go may put its licence elsewhere. The release must have it.
		return t, fmt.Errorf("package: no licence in %s: build with Go as it comes from go.dev", dir)
	}
	return t, err
}
