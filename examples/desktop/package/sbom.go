package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// The software bill of materials is CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). It lists what Go's linker
// recorded in the released programs themselves, so it can't differ from what is in them.

type sbom struct {
	BOMFormat    string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	SerialNumber string          `json:"serialNumber"`
	Version      int             `json:"version"`
	Metadata     sbomMetadata    `json:"metadata"`
	Components   []sbomComponent `json:"components"`
	Dependencies []sbomDependsOn `json:"dependencies"`
}

type sbomMetadata struct {
	Timestamp string        `json:"timestamp"`
	Component sbomComponent `json:"component"`
}

type sbomComponent struct {
	Type       string         `json:"type"`
	Ref        string         `json:"bom-ref"`
	Name       string         `json:"name"`
	Version    string         `json:"version,omitempty"`
	Hashes     []sbomHash     `json:"hashes,omitempty"`
	Licenses   []sbomLicense  `json:"licenses,omitempty"`
	PURL       string         `json:"purl,omitempty"`
	Properties []sbomProperty `json:"properties,omitempty"`
}

type sbomHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type sbomLicense struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type sbomProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type sbomDependsOn struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// released is a program as it lies in an archive.
type released struct {
	archive, name string
	data          []byte
}

// inventory gathers what is in the released programs.
type inventory struct {
	tc      toolchain
	version string
	at      time.Time
	terms   map[string]terms // by bom-ref
	modules map[string]sbomComponent
	files   []sbomComponent
	links   []sbomDependsOn
}

func newInventory(tc toolchain, version string, at time.Time) *inventory {
	return &inventory{tc: tc, version: version, at: at, terms: map[string]terms{}, modules: map[string]sbomComponent{}}
}

// add reads what Go recorded in the program, as it will be shipped: whatever was added to it has left that readable.
func (inv *inventory) add(r released) error {
	info, err := buildinfo.Read(bytes.NewReader(r.data))
	if err != nil {
		return fmt.Errorf("package: %s: %w", r.archive, err)
	}
	return inv.record(r, info)
}

func (inv *inventory) record(r released, info *debug.BuildInfo) error {
	ref := r.archive + "#" + r.name
	sum := sha256.Sum256(r.data)
	inv.files = append(inv.files, sbomComponent{
		Type: "file", Ref: ref, Name: ref, Hashes: []sbomHash{{"SHA-256", hex.EncodeToString(sum[:])}},
	})
	std := &debug.Module{Path: "std", Version: strings.Fields(info.GoVersion)[0]}
	link := sbomDependsOn{Ref: ref}
	for _, m := range append([]*debug.Module{std}, info.Deps...) {
		if m.Replace != nil {
			return fmt.Errorf("package: %s replaces module %s: a release is built from what go.sum names", r.archive, m.Path)
		}
		c, err := inv.module(m)
		if err != nil {
			return err
		}
		link.DependsOn = append(link.DependsOn, c.Ref)
	}
	slices.Sort(link.DependsOn)
	inv.links = append(inv.links, link)
	return nil
}

// module describes a linked module once. Go's h1 sum is a SHA-256 over the module's files, in base64.
func (inv *inventory) module(m *debug.Module) (sbomComponent, error) {
	ref := "pkg:golang/" + strings.ToLower(m.Path) + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	if c, known := inv.modules[ref]; known {
		return c, nil
	}
	c := sbomComponent{Type: "library", Ref: ref, PURL: ref, Name: m.Path, Version: m.Version}
	if m.Path != "std" {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil || len(sum) != sha256.Size {
			return c, fmt.Errorf("package: module %s has no usable sum: %q", m.Path, m.Sum)
		}
		c.Hashes = []sbomHash{{"SHA-256", hex.EncodeToString(sum)}}
		c.Properties = []sbomProperty{{"huisclos:go.sum", m.Sum}}
	}
	t, err := inv.tc.terms(m.Path, m.Version)
	if err != nil {
		return c, err
	}
	c.Licenses = licenseIDs(t)
	inv.terms[ref], inv.modules[ref] = t, c
	return c, nil
}

func licenseIDs(t terms) (all []sbomLicense) {
	for _, id := range t.ids {
		var l sbomLicense
		l.License.ID = id
		all = append(all, l)
	}
	return all
}

// modulesSorted are the linked modules by name and version.
func (inv *inventory) modulesSorted() []sbomComponent {
	return slices.SortedFunc(maps.Values(inv.modules), func(a, b sbomComponent) int { return cmp.Compare(a.Ref, b.Ref) })
}

// sbom is the bill of materials of everything added. Its serial number is a hash of itself, where the standard would
// have a random one, so that the same release has the same.
func (inv *inventory) sbom() ([]byte, error) {
	own, err := inv.tc.terms("", "")
	if err != nil {
		return nil, err
	}
	product := sbomComponent{
		Type: "application", Ref: "huisclos", Name: "huisclos", Version: inv.version, Licenses: licenseIDs(own),
	}
	all := sbomDependsOn{Ref: product.Ref}
	for _, f := range inv.files {
		all.DependsOn = append(all.DependsOn, f.Ref)
	}
	b := sbom{
		BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata:     sbomMetadata{inv.at.Format(time.RFC3339), product},
		Components:   slices.Concat(inv.files, inv.modulesSorted()),
		Dependencies: append([]sbomDependsOn{all}, inv.links...),
	}
	unnumbered, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(unnumbered)
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, version 8
	b.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:16])
	out, err := json.MarshalIndent(b, "", "  ")
	return append(out, '\n'), err
}

// licenceTexts are the terms under which everything in the programs may be passed on: most ask to go with it.
func (inv *inventory) licenceTexts() ([]byte, error) {
	own, err := inv.tc.terms("", "")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "huisclos %s\n\n%s", inv.version, own.texts)
	b.WriteString("The program also holds the modules below, each under its own terms. The source code of each is public:\n" +
		"\"go mod download NAME@VERSION\" fetches it; that of std is Go's, at https://go.dev.\n\n")
	for _, c := range inv.modulesSorted() {
		t := inv.terms[c.Ref]
		if t.texts == "" {
			return nil, fmt.Errorf("package: module %s has no licence file: it can't be passed on without one", c.Name)
		}
		fmt.Fprintf(&b, "%s\n%s %s\n\n%s", strings.Repeat("=", 80), c.Name, c.Version, t.texts)
	}
	return []byte(b.String()), nil
}
