package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const copyright = "© 2026 The huisclos authors. MIT licence."

// texts are the short readme files of each system's archive, in both languages.
//
//go:embed text/*.txt
var texts embed.FS

func main() {
	out := flag.String("out", "dist", "the `folder` to write the release files to")
	list := flag.String("targets", "", "what to build for, with commas between, as os/arch (default all)")
	version := flag.String("version", "", "the version (default: what git describe says)")
	icons := flag.Bool("icons", false, "only draw examples/desktop/icons anew")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("package: unknown argument %q", flag.Arg(0))
	case *icons:
		err = drawIcons(ctx)
	default:
		err = run(ctx, ".", *out, *list, *version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes the release files of the source tree at dir, for the targets in list, to the folder out.
func run(ctx context.Context, dir, out, list, version string) error {
	chosen, err := parseTargets(list)
	if err != nil {
		return err
	}
	tc, err := findToolchain(ctx, dir)
	if err != nil {
		return err
	}
	if version, err = tc.chooseVersion(ctx, version); err != nil {
		return err
	}
	at, err := tc.sourceTime(ctx)
	if err != nil {
		return err
	}
	files, err := release(ctx, tc, chosen, version, at)
	if err != nil {
		return err
	}
	return write(out, files)
}

// release builds for every target and returns the files to publish, by name.
func release(ctx context.Context, tc toolchain, chosen []target, version string, at time.Time) (map[string][]byte, error) {
	inv := newInventory(tc, version, at)
	contents := map[string][]entry{}
	for _, t := range chosen {
		start := time.Now()
		program, err := tc.build(ctx, t, version)
		if err != nil {
			return nil, err
		}
		name := "huisclos-" + version + "-" + t.platform()
		entries, shipped, err := platformFiles(t, program, version, name)
		if err != nil {
			return nil, err
		}
		name += archiveExtension(t)
		if err := inv.add(released{name, shipped.name, shipped.data}); err != nil {
			return nil, err
		}
		contents[name] = entries
		fmt.Fprintf(os.Stderr, "%-14s %s, built in %.0f s\n", t, size(len(shipped.data)), time.Since(start).Seconds())
	}
	texts, err := inv.licenceTexts()
	if err != nil {
		return nil, err
	}
	bill, err := inv.sbom()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"huisclos-" + version + ".cdx.json": bill}
	for name, entries := range contents {
		pack, folder, ending := zipped, "", "\r\n"
		if base, isTar := strings.CutSuffix(name, ".tar.gz"); isTar {
			pack, folder = tarred, base+"/" // unpacked by hand, often in a folder of much else
		}
		if !strings.Contains(name, "-windows-") {
			ending = "\n"
		}
		entries = append(entries, entry{folder + "LICENSES.txt", 0o644, bytes.ReplaceAll(texts, []byte("\n"), []byte(ending))})
		if files[name], err = pack(entries, at); err != nil {
			return nil, err
		}
	}
	files["SHA256SUMS"] = checksums(files)
	return files, nil
}

func archiveExtension(t target) string {
	if t.os == "linux" {
		return ".tar.gz"
	}
	return ".zip"
}

// platformFiles are what the archive of a target holds, and the program among them.
func platformFiles(t target, program []byte, version, name string) (all []entry, shipped entry, err error) {
	switch t.os {
	case "windows":
		if program, err = windowsExecutable(program, version); err != nil {
			return nil, entry{}, err
		}
		shipped = entry{"huisclos.exe", 0o755, program}
		all = []entry{shipped}
	case "darwin":
		if all, err = bundle(program, version); err != nil {
			return nil, entry{}, err
		}
		shipped = all[slices.IndexFunc(all, func(e entry) bool { return e.mode == 0o755 })]
	default:
		shipped = entry{name + "/huisclos", 0o755, program}
		all = []entry{shipped}
		for _, e := range linuxFiles() {
			e.name = name + "/" + e.name
			all = append(all, e)
		}
	}
	for file, source := range map[string]string{"README.txt": "en", "LISEZMOI.txt": "fr"} {
		text, err := readme(t.os, source, version)
		if err != nil {
			return nil, entry{}, err
		}
		if t.os == "linux" {
			file = name + "/" + file
		}
		all = append(all, entry{file, 0o644, text})
	}
	return all, shipped, nil
}

// readme is the short text beside the program. For Windows it has the line ends and the mark of UTF-8 that its oldest
// editors look for.
func readme(system, language, version string) ([]byte, error) {
	text, err := texts.ReadFile("text/" + system + "." + language + ".txt")
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte("VERSION"), []byte(version))
	if system == "windows" {
		text = append([]byte("\ufeff"), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))...)
	}
	return text, nil
}

// checksums are the files' SHA-256 as sha256sum writes and checks them.
func checksums(files map[string][]byte) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(files[name]), name)
	}
	return b.Bytes()
}

// write puts the files into the folder, the checksums last, and says what it wrote.
func write(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	names := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return strings.Compare(strings.ReplaceAll(a, "SHA256SUMS", "~"), strings.ReplaceAll(b, "SHA256SUMS", "~"))
	})
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), files[name], 0o644); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s  %s\n", filepath.Join(folder, name), size(len(files[name])))
	}
	return nil
}

func size(n int) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

// drawIcons writes the pictures that the page shows.
func drawIcons(ctx context.Context) error {
	tc, err := findToolchain(ctx, ".")
	if err != nil {
		return err
	}
	return write(filepath.Join(tc.root, "examples", "desktop", "icons"), pageIcons())
}
