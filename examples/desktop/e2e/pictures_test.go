//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// inREADME are the pictures that the README shows under another name: of those that there are in several looks, one.
var inREADME = map[string]string{
	"alone-fr-light-1280":    "meeting",
	"alone-en-dark-360":      "meeting-narrow-dark",
	"exposure-fr-light-1280": "who-sees-what",
	"look-fr-light-1280":     "look",
	"help-fr-light-1280":     "help",
	"leave-fr-light-1280":    "leave",
	"ended-fr-light-1280":    "ended",
	"settings-you-light":     "settings-you",
	"settings-network-light": "settings-network",
	"invite-found-dht":       "invite-found",
}

// shots names the directory for pictures, if they are wanted.
const shots = "HUISCLOS_SHOTS"

// picture keeps a picture of the screen, if wanted.
func (p *person) picture(name string) {
	p.Helper()
	dir := os.Getenv(shots)
	if dir == "" {
		return
	}
	shot, err := p.page.Screenshot()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if other, ok := inREADME[name]; ok {
		name = other
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o600)
	}
	if err != nil {
		p.Error(err)
	}
}

// missingPictures says which pictures of the README's all tests together didn't take. It returns what to exit with.
func missingPictures() int {
	dir := os.Getenv(shots)
	if dir == "" || flag.Lookup("test.run").Value.String() != "" {
		return 0
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	code := 0
	for _, m := range regexp.MustCompile(`screenshots/([a-z-]+\.png)`).FindAllSubmatch(readme, -1) {
		if _, err := os.Stat(filepath.Join(dir, string(m[1]))); err != nil {
			fmt.Printf("no test took the README's picture %s\n", m[1])
			code = 1
		}
	}
	return code
}

// quiet closes the notices, which say what is known by now.
func (p *person) quiet() {
	p.Helper()
	p.eventually(func() string {
		left := value[int](p, `document.querySelectorAll(".notices .notice > button").length`)
		if left == 0 {
			return ""
		}
		p.press(".notices .notice > button")
		return "notices stay"
	})
}
