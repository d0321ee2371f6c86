package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	bundleID = "io.github.huisclos.desktop"
	// Go 1.26 runs on nothing older; a test compares it with what the linker wrote.
	oldestMacOS = "12.0"
)

// infoPlist describes the application to macOS.
//
// It names no use of microphone, camera or screen: the browser captures, and asks in its own name. The local network
// is ours to ask for, since members in the same office are reached there (macOS 15 and later).
//
// LSUIElement: the program has no window, its page is in the browser. An icon in the Dock would bounce for ever, since
// macOS waits for a window to be announced.
func infoPlist(version string) map[string]any {
	n := numeric(version)
	short := fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2])
	return map[string]any{
		"CFBundleDevelopmentRegion":     "en",
		"CFBundleDisplayName":           "huisclos",
		"CFBundleExecutable":            "huisclos",
		"CFBundleIconFile":              "huisclos.icns",
		"CFBundleIdentifier":            bundleID,
		"CFBundleInfoDictionaryVersion": "6.0",
		"CFBundleLocalizations":         []any{"en", "fr"},
		"CFBundleName":                  "huisclos",
		"CFBundlePackageType":           "APPL",
		"CFBundleShortVersionString":    short,
		"CFBundleVersion":               short,
		"CFBundleURLTypes": []any{map[string]any{
			"CFBundleTypeRole":   "Viewer",
			"CFBundleURLName":    bundleID + ".invitation",
			"CFBundleURLSchemes": []any{"huisclos"},
		}},
		"LSApplicationCategoryType":      "public.app-category.business",
		"LSMinimumSystemVersion":         oldestMacOS,
		"LSUIElement":                    true,
		"NSAppSleepDisabled":             true, // a meeting must not stutter because no window of ours is in front
		"NSHighResolutionCapable":        true,
		"NSHumanReadableCopyright":       copyright,
		"NSLocalNetworkUsageDescription": localNetwork["en"],
	}
}

var localNetwork = map[string]string{
	"en": "huisclos connects directly to the other participants' computers. Some may be on this network.",
	"fr": "huisclos se connecte directement aux ordinateurs des autres participants. Certains peuvent être sur ce réseau.",
}

// bundle makes huisclos.app around a linked program: its files, the seal over them, and the program signed with both.
func bundle(program []byte, version string) ([]entry, error) {
	info := plist(infoPlist(version))
	sealed := []entry{{"Resources/huisclos.icns", 0o644, encodeICNS()}}
	for _, language := range slices.Sorted(maps.Keys(localNetwork)) {
		text := fmt.Sprintf("\"NSLocalNetworkUsageDescription\" = \"%s\";\n", localNetwork[language])
		sealed = append(sealed, entry{"Resources/" + language + ".lproj/InfoPlist.strings", 0o644, []byte(text)})
	}
	seal := plist(codeResources(sealed))
	signed, err := signMachO(program, bundleID, info, seal)
	if err != nil {
		return nil, err
	}
	files := append(sealed,
		entry{"Info.plist", 0o644, info},
		entry{"PkgInfo", 0o644, []byte("APPL????")},
		entry{"MacOS/huisclos", 0o755, signed},
		entry{"_CodeSignature/CodeResources", 0o644, seal})
	for i := range files {
		files[i].name = "huisclos.app/Contents/" + files[i].name
	}
	return files, nil
}

// codeResources is the seal over a bundle's files: their hashes, and the rules that say which files must be there.
// Without it macOS calls a downloaded application damaged and offers no way to open it. The first half is for systems
// before 10.9, which codesign still writes.
func codeResources(files []entry) map[string]any {
	old, current := map[string]any{}, map[string]any{}
	for _, f := range files {
		one, two := sha1.Sum(f.data), sha256.Sum256(f.data)
		if strings.Contains(f.name, ".lproj/") {
			old[f.name] = map[string]any{"hash": one[:], "optional": true}
			current[f.name] = map[string]any{"hash2": two[:], "optional": true}
		} else {
			old[f.name] = one[:]
			current[f.name] = map[string]any{"hash2": two[:]}
		}
	}
	rule := func(weight int, flag string) map[string]any {
		r := map[string]any{"weight": float64(weight)}
		if flag != "" {
			r[flag] = true
		}
		return r
	}
	localised := map[string]any{
		`^Resources/.*\.lproj/`:                  rule(1000, "optional"),
		`^Resources/.*\.lproj/locversion.plist$`: rule(1100, "omit"),
		`^Resources/Base\.lproj/`:                rule(1010, ""),
	}
	rules := map[string]any{`^Resources/`: true, `^version.plist$`: true}
	rules2 := map[string]any{
		`^.*`:                          true,
		`.*\.dSYM($|/)`:                rule(11, ""),
		`^(.*/)?\.DS_Store$`:           rule(2000, "omit"),
		`^Info\.plist$`:                rule(20, "omit"),
		`^PkgInfo$`:                    rule(20, "omit"),
		`^Resources/`:                  rule(20, ""),
		`^[^/]+$`:                      rule(10, "nested"),
		`^embedded\.provisionprofile$`: rule(20, ""),
		`^version\.plist$`:             rule(20, ""),
		`^(Frameworks|SharedFrameworks|PlugIns|Plug-ins|XPCServices|Helpers|MacOS|Library/(Automator|Spotlight|LoginItems))/`: rule(10, "nested"),
	}
	maps.Copy(rules, localised)
	maps.Copy(rules2, localised)
	return map[string]any{"files": old, "files2": current, "rules": rules, "rules2": rules2}
}

// plist writes an XML property list of maps, lists, strings, numbers, data and booleans, its keys sorted.
func plist(value map[string]any) []byte {
	var b strings.Builder
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` +
		"\n<plist version=\"1.0\">\n")
	writePlist(&b, value, "")
	b.WriteString("</plist>\n")
	return []byte(b.String())
}

func writePlist(b *strings.Builder, value any, indent string) {
	element := func(name, text string) {
		fmt.Fprintf(b, "%s<%s>", indent, name)
		_ = xml.EscapeText(b, []byte(text)) // a Builder takes everything
		fmt.Fprintf(b, "</%s>\n", name)
	}
	switch v := value.(type) {
	case map[string]any:
		b.WriteString(indent + "<dict>\n")
		for _, key := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(b, "%s\t<key>", indent)
			_ = xml.EscapeText(b, []byte(key))
			b.WriteString("</key>\n")
			writePlist(b, v[key], indent+"\t")
		}
		b.WriteString(indent + "</dict>\n")
	case []any:
		b.WriteString(indent + "<array>\n")
		for _, one := range v {
			writePlist(b, one, indent+"\t")
		}
		b.WriteString(indent + "</array>\n")
	case string:
		element("string", v)
	case []byte:
		element("data", base64.StdEncoding.EncodeToString(v))
	case float64:
		element("real", fmt.Sprint(v))
	case bool:
		fmt.Fprintf(b, "%s<%t/>\n", indent, v)
	default:
		panic(fmt.Sprintf("package: a property list can't hold %T", value))
	}
}
