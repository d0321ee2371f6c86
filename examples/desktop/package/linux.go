package main

import _ "embed" // install.sh

//go:embed text/install.sh
var installScript []byte

// desktopEntry shows huisclos among a Linux desktop's programs and has it open huisclos: links. install.sh writes the
// program's full path into it. After "--" nothing is taken for a flag, whoever made the link.
const desktopEntry = `[Desktop Entry]
Type=Application
Version=1.0
Name=huisclos
GenericName=Encrypted meetings
GenericName[fr]=Réunions chiffrées
Comment=Meetings behind closed doors, without a server
Comment[fr]=Réunions à huis clos, sans serveur
Exec=huisclos -- %u
Icon=huisclos
Terminal=false
Categories=Network;VideoConference;
Keywords=meeting;video;call;encrypted;
Keywords[fr]=réunion;visioconférence;appel;chiffré;
MimeType=x-scheme-handler/huisclos;
StartupNotify=false
`

// linuxFiles are what lies beside the program in the Linux archive.
func linuxFiles() []entry {
	return []entry{
		{"huisclos.desktop", 0o644, []byte(desktopEntry)},
		{"icons/huisclos.svg", 0o644, []byte(svg())},
		{"icons/huisclos.png", 0o644, encodePNG(picture(256, 0))},
		{"install.sh", 0o755, installScript},
	}
}
