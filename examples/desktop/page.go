package main

import (
	"embed"
	"io/fs"
)

// The files beside each other, not what tools put in folders there.
//
//go:embed page/*.html page/*.js page/*.css page/*.svg
var page embed.FS

// pageFiles are the page's.
func pageFiles() fs.FS {
	files, err := fs.Sub(page, "page")
	if err != nil { // the name is ours
		panic(err)
	}
	return files
}
