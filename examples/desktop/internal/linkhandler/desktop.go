package linkhandler

import (
	"slices"
	"strings"
)

const (
	entryName = "huisclos.desktop"
	section   = "[Default Applications]"
	key       = "x-scheme-handler/" + Scheme
)

// entry is the .desktop file (Desktop Entry Specification). The path has no character that would need escaping.
func entry(program string) string {
	return "[Desktop Entry]\nType=Application\nName=huisclos\nNoDisplay=true\nTerminal=false\n" +
		"Exec=\"" + program + "\" -- %u\nMimeType=" + key + ";\n"
}

// withDefault is a mimeapps.list in which links are ours.
func withDefault(list string) string {
	lines := strings.Split(strings.TrimRight(withoutDefault(list), "\n"), "\n")
	line := key + "=" + entryName
	i := slices.Index(lines, section)
	if i < 0 {
		if lines[0] == "" {
			lines = nil
		}
		return strings.Join(append(lines, section, line), "\n") + "\n"
	}
	return strings.Join(slices.Insert(lines, i+1, line), "\n") + "\n"
}

// withoutDefault is a mimeapps.list without our line. Another program's stays.
func withoutDefault(list string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(list, "\n"), isOurs), "\n")
}

func isOurs(line string) bool {
	name, value, ok := strings.Cut(line, "=")
	return ok && strings.TrimSpace(name) == key && strings.TrimSuffix(strings.TrimSpace(value), ";") == entryName
}
