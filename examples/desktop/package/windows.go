package main

import (
	"encoding/binary"
	"unicode/utf16"
)

// manifest tells Windows that the program needs no rights beyond the person's own, scales by itself, takes text as
// UTF-8 and accepts paths of any length. The identifier is that of Windows 10 and later, the oldest that Go runs on.
const manifest = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <assemblyIdentity type="win32" name="huisclos" version="1.0.0.0" processorArchitecture="*"/>
  <compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1">
    <application>
      <supportedOS Id="{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"/>
    </application>
  </compatibility>
  <trustInfo xmlns="urn:schemas-microsoft-com:asm.v3">
    <security>
      <requestedPrivileges>
        <requestedExecutionLevel level="asInvoker" uiAccess="false"/>
      </requestedPrivileges>
    </security>
  </trustInfo>
  <application xmlns="urn:schemas-microsoft-com:asm.v3">
    <windowsSettings>
      <dpiAware xmlns="http://schemas.microsoft.com/SMI/2005/WindowsSettings">true/pm</dpiAware>
      <dpiAwareness xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">PerMonitorV2, PerMonitor</dpiAwareness>
      <longPathAware xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">true</longPathAware>
      <activeCodePage xmlns="http://schemas.microsoft.com/SMI/2019/WindowsSettings">UTF-8</activeCodePage>
    </windowsSettings>
  </application>
</assembly>
`

// Resource types, and the languages we use: neutral, English (US), French (France).
const (
	resourceIcon      = 3
	resourceGroupIcon = 14
	resourceVersion   = 16
	resourceManifest  = 24

	languageNeutral = 0
	languageEnglish = 0x0409
	languageFrench  = 0x040c
	codePageUnicode = 1200
)

// windowsExecutable adds icon, version and manifest to a program that Go linked.
func windowsExecutable(exe []byte, version string) ([]byte, error) {
	var resources []resource
	all := icons(icoSizes)
	for i, one := range all {
		resources = append(resources, resource{resourceIcon, uint32(i + 1), languageNeutral, one.data})
	}
	group := iconDirectory(all, func(b []byte, i int) []byte { return binary.LittleEndian.AppendUint16(b, uint16(i+1)) })
	resources = append(resources,
		resource{resourceGroupIcon, 1, languageNeutral, group},
		resource{resourceVersion, 1, languageEnglish, versionInfo(version)},
		resource{resourceManifest, 1, languageEnglish, []byte(manifest)})
	return addResources(exe, resources)
}

// versionInfo is what Windows shows under Properties, Details, and, as the name of the program, in the firewall's
// question and the task manager.
func versionInfo(version string) []byte {
	n := numeric(version)
	fixed := []uint32{
		0xfeef04bd, 0x10000, // signature, structure version
		n[0]<<16 | n[1], n[2] << 16, n[0]<<16 | n[1], n[2] << 16, // file and product version
		0x3f, 0, 0x40004, 1, 0, 0, 0, // flags, none set; for Windows NT; an application
	}
	var value []byte
	for _, v := range fixed {
		value = binary.LittleEndian.AppendUint32(value, v)
	}
	table := func(key, description string) []byte {
		var b []byte
		for _, s := range [][2]string{
			{"CompanyName", "The huisclos authors"}, {"FileDescription", description}, {"FileVersion", version},
			{"InternalName", "huisclos"}, {"LegalCopyright", copyright}, {"OriginalFilename", "huisclos.exe"},
			{"ProductName", "huisclos"}, {"ProductVersion", version},
		} {
			b = appendVersionBlock(b, s[0], true, wide(s[1]), nil)
		}
		return appendVersionBlock(nil, key, true, nil, b)
	}
	tables := table("040904b0", "huisclos: meetings behind closed doors")
	for len(tables)%4 != 0 {
		tables = append(tables, 0)
	}
	tables = append(tables, table("040c04b0", "huisclos : réunions à huis clos")...)
	var translations []byte
	for _, language := range []uint16{languageEnglish, languageFrench} {
		translations = binary.LittleEndian.AppendUint16(translations, language)
		translations = binary.LittleEndian.AppendUint16(translations, codePageUnicode)
	}
	children := appendVersionBlock(nil, "StringFileInfo", true, nil, tables)
	children = appendVersionBlock(children, "VarFileInfo", true, nil, appendVersionBlock(nil, "Translation", false, translations, nil))
	return appendVersionBlock(nil, "VS_VERSION_INFO", false, value, children)
}

// wide is s in UTF-16, little endian, with its end.
func wide(s string) []byte {
	var b []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// appendVersionBlock appends one node of the version tree at a multiple of four: its length, the length of its value
// (in characters where it is text), its kind, key, value and children.
func appendVersionBlock(b []byte, key string, text bool, value, children []byte) []byte {
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	block := pad(append(make([]byte, 6), wide(key)...))
	block = append(block, value...)
	if len(children) > 0 {
		block = append(pad(block), children...)
	}
	length := len(value)
	if text {
		length /= 2
		block[4] = 1
	}
	binary.LittleEndian.PutUint16(block, uint16(len(block)))
	binary.LittleEndian.PutUint16(block[2:], uint16(length))
	return append(pad(b), block...)
}
