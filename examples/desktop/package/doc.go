// Command package makes the release files of the desktop client from this source tree:
//
//	go run ./examples/desktop/package [-out DIR] [-targets windows/amd64,…] [-version V]
//
//	go build ─▶ binary ─┬─▶ windows: icon, version, manifest added to the .exe ─▶ .zip ────┐
//	                    ├─▶ macOS: huisclos.app, sealed ad hoc ─────────────────▶ .zip ────┼─▶ SHA256SUMS
//	                    ├─▶ linux: desktop entry, icons, install.sh ────────────▶ .tar.gz ─┤
//	                    └─▶ what was linked into it ─▶ SBOM, licence texts ────────────────┘
//
// Two runs on the same commit with the same Go give the same bytes, on any machine and in any folder, so that whoever
// distrusts a download can build it again and compare. Times are those of the commit (or SOURCE_DATE_EPOCH), owners
// are nobody, entries are sorted, nothing of the machine gets in.
//
// The program is built with -X main.version=V. It is started with one argument, the link, where a person clicked on
// one (huisclos:…), after "--" so that no link is taken for a flag, otherwise with none.
//
// It never signs with a certificate, and needs no network once the modules are in the module cache. It writes to DIR
// alone; with -icons, to examples/desktop/icons alone.
package main
