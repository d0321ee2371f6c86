package main

import (
	"errors"
	"html/template"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// launchFileLife is how long the file that leads the browser here lies about.
const launchFileLife = 30 * time.Second

// openBrowser shows a URL in the person's own browser. No shell is asked: the URL is an argument.
//
// The URL holds a token, and other users can see the arguments of a process on Linux and macOS. On Linux that doesn't
// help them: the port closes connections of other users. On macOS the argument is therefore a file that only this user
// may read, which leads to the URL, and is removed soon after. Windows shows nobody the arguments of others.
func openBrowser(url string) error {
	switch runtime.GOOS {
	case "windows":
		return run("rundll32.exe", "url.dll,FileProtocolHandler", url)
	case "darwin":
		file, err := launchFile(url)
		if err != nil {
			return err
		}
		return run("/usr/bin/open", file)
	}
	var err error
	for _, program := range []string{"xdg-open", "gio", "x-www-browser", "sensible-browser"} {
		arguments := []string{url}
		if program == "gio" {
			arguments = []string{"open", url}
		}
		if err = run(program, arguments...); err == nil {
			return nil
		}
	}
	return err
}

// run starts a program and doesn't wait for it.
func run(program string, arguments ...string) error {
	c := exec.Command(program, arguments...)
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }()
	return nil
}

// launchPage leads to a URL.
var launchPage = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">` +
	`<meta http-equiv="refresh" content="0;url={{.}}"><title>huisclos</title>`))

// launchFile writes a page that leads to a URL, in a directory that only this user may enter.
func launchFile(url string) (string, error) {
	dir, err := os.MkdirTemp("", "huisclos-")
	if err != nil {
		return "", err
	}
	time.AfterFunc(launchFileLife, func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "open.html")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	return path, errors.Join(launchPage.Execute(f, url), f.Close())
}
