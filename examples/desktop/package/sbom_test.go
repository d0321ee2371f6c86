package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

// testModules are two modules the project needs anyway, as Go records them in a program. One path has capitals only in
// the module cache's spelling.
func testModules(t *testing.T) []*debug.Module {
	t.Helper()
	sums, err := os.ReadFile("../../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	var all []*debug.Module
	for _, path := range []string{"github.com/flynn/noise", "github.com/pion/rtp"} {
		m := regexp.MustCompile(`(?m)^` + path + ` (v\S+) (h1:\S+)$`).FindSubmatch(sums)
		if m == nil {
			t.Fatalf("%s is not in go.sum", path)
		}
		all = append(all, &debug.Module{Path: path, Version: string(m[1]), Sum: string(m[2])})
	}
	return all
}

func testInventory(t *testing.T, modules []*debug.Module) *inventory {
	t.Helper()
	tc, err := findToolchain(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	inv := newInventory(tc, "1.2.3", testTime)
	for _, name := range []string{"one.zip", "two.zip"} {
		if err := inv.record(released{name, "huisclos", []byte(name)}, &debug.BuildInfo{GoVersion: "go1.26.8 X:test", Deps: modules}); err != nil {
			t.Fatal(err)
		}
	}
	return inv
}

// TestSBOM holds the bill of materials to what the schema of CycloneDX 1.6 requires of the parts we use
// (bom-1.6.schema.json: "required", "enum" and "pattern"), and to what it must say.
func TestSBOM(t *testing.T) {
	modules := testModules(t)
	text, err := testInventory(t, modules).sbom()
	if err != nil {
		t.Fatal(err)
	}
	var b sbom
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.BOMFormat != "CycloneDX" || b.SpecVersion != "1.6" || b.Version != 1 || b.Metadata.Timestamp != "2026-03-04T05:06:08Z" {
		t.Errorf("head %+v", b)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.SerialNumber) {
		t.Errorf("serial number %q", b.SerialNumber)
	}
	refs := map[string]bool{}
	byName := map[string]sbomComponent{}
	for _, c := range append(b.Components, b.Metadata.Component) {
		checkComponent(t, c)
		if refs[c.Ref] {
			t.Errorf("%s is there twice", c.Ref)
		}
		refs[c.Ref], byName[c.Name] = true, c
	}
	for _, m := range modules {
		c := byName[m.Path]
		if c.Version != m.Version || len(c.Properties) != 1 || c.Properties[0].Value != m.Sum || len(c.Licenses) == 0 || c.PURL != "pkg:golang/"+m.Path+"@"+m.Version {
			t.Errorf("%s: %+v", m.Path, c)
		}
	}
	if std := byName["std"]; std.Version != "go1.26.8" || len(std.Licenses) != 1 || std.Licenses[0].License.ID != "BSD-3-Clause" {
		t.Errorf("std: %+v", std)
	}
	linked := map[string][]string{}
	for _, d := range b.Dependencies {
		for _, ref := range append(d.DependsOn, d.Ref) {
			if !refs[ref] {
				t.Errorf("%s depends on %s, which is not there", d.Ref, ref)
			}
		}
		linked[d.Ref] = d.DependsOn
	}
	if len(linked["huisclos"]) != 2 || len(linked["two.zip#huisclos"]) != 3 {
		t.Errorf("dependencies %q", linked)
	}
}

func checkComponent(t *testing.T, c sbomComponent) {
	t.Helper()
	if c.Type != "application" && c.Type != "library" && c.Type != "file" || c.Name == "" || c.Ref == "" {
		t.Errorf("component %+v", c)
	}
	for _, h := range c.Hashes {
		if h.Alg != "SHA-256" || !regexp.MustCompile(`^[a-f0-9]{64}$`).MatchString(h.Content) {
			t.Errorf("%s: hash %+v", c.Name, h)
		}
	}
	for _, l := range c.Licenses {
		if l.License.ID == "" {
			t.Errorf("%s: a licence without identifier", c.Name)
		}
	}
}

func TestSBOMSame(t *testing.T) {
	modules := testModules(t)
	one, err := testInventory(t, modules).sbom()
	if err != nil {
		t.Fatal(err)
	}
	two, err := testInventory(t, []*debug.Module{modules[1], modules[0]}).sbom()
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the order of modules shows (%v)", err)
	}
	modules[0].Sum = "h1:" + strings.Repeat("A", 43) + "="
	if other, err := testInventory(t, modules).sbom(); err != nil || bytes.Contains(other, one[bytes.Index(one, []byte("urn:uuid:")):][:45]) {
		t.Errorf("another content has the same serial number (%v)", err)
	}
}

func TestSBOMRefused(t *testing.T) {
	for name, m := range map[string]*debug.Module{
		"replaced":    {Path: "example.com/a", Version: "v1.0.0", Sum: "h1:x", Replace: &debug.Module{Path: "../a"}},
		"without sum": {Path: "example.com/a", Version: "v1.0.0"},
		"not cached":  {Path: "example.com/a", Version: "v1.0.0", Sum: "h1:" + strings.Repeat("A", 43) + "="},
	} {
		inv := testInventory(t, nil)
		if err := inv.record(released{"a.zip", "huisclos", nil}, &debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{m}}); err == nil {
			t.Errorf("a module %s was recorded", name)
		}
	}
	if err := testInventory(t, nil).add(released{"a.zip", "huisclos", []byte("no program")}); err == nil {
		t.Error("what is no Go program was recorded")
	}
}

func TestLicenceTexts(t *testing.T) {
	text, err := testInventory(t, testModules(t)).licenceTexts()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"huisclos 1.2.3\n", "The huisclos authors", "github.com/flynn/noise v", "github.com/pion/rtp v", "std go1.26.8",
		"Copyright 2009 The Go Authors", "Prime Directive",
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%q is missing", want)
		}
	}
	inv := testInventory(t, nil)
	inv.modules["bare"] = sbomComponent{Ref: "bare", Name: "bare"}
	if _, err := inv.licenceTexts(); err == nil {
		t.Error("a module without a licence would be passed on")
	}
}

func TestRecognise(t *testing.T) {
	bsd := "Redistribution and use in source and binary\n forms, with or without modification, are permitted"
	for name, tt := range map[string]struct{ text, want string }{
		"MIT":       {"Permission is hereby granted, free of charge, to any person obtaining a copy … The above copyright notice\nand this permission notice shall", "MIT"},
		"Apache":    {"Apache License\n   Version 2.0, January 2004", "Apache-2.0"},
		"BSD two":   {bsd, "BSD-2-Clause"},
		"BSD three": {bsd + " * Neither the name of Google", "BSD-3-Clause"},
		"ISC":       {"Permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice", "ISC"},
		"both":      {bsd + " Neither the name … Apache License, Version 2.0", "Apache-2.0 BSD-3-Clause"},
		"MPL":       {"Mozilla Public License\n\n Version 2.0", "MPL-2.0"},
		"by name":   {"`SPDX-License-Identifier: Apache-2.0 OR MIT`", "Apache-2.0 MIT"},
		"none":      {"All rights reserved.", ""},
	} {
		if got := strings.Join(recognise(tt.text), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := (toolchain{modCache: "/m"}).moduleDir("github.com/Azure/a", "v1.0.0-RC1"); got != "/m/github.com/!azure/a@v1.0.0-!r!c1" {
		t.Errorf("capitals: %s", got)
	}
}
