package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	module       = "github.com/huisclos/huisclos"
	maxLines     = 500
	maxTestLines = 700
)

// rooms are the parts of the house and what each may import beside itself. A room
// covers the folders under it, and so does each name in its list.
var rooms = map[string][]string{
	"crypto":    {},
	"roster":    {"crypto"},
	"transport": {"crypto"},
	"meet":      {"crypto", "roster", "transport"},
	"examples":  {"meet", "crypto", "transport/transporttest", "examples/internal"},
	"internal":  {},
}

// extras are what one part of a room may import beside that.
var extras = map[string][]string{
	"examples/relay": {"transport/relay", "transport/relayauth"}, // the relay's program
}

// testWorlds are packages for tests and simulations. What is shipped must not
// carry them.
var testWorlds = []string{"meet/meettest", "transport/transporttest"}

// rendezvous holds the ways to find meetings, which only programs import: who embeds package meet
// chooses, and gets no code of those not chosen.
const rendezvous = "meet/rendezvous"

// checker collects violations over one tree of Go files.
type checker struct {
	tree  fs.FS
	fset  *token.FileSet
	found []string
	dirs  map[string]*dirFacts
}

type dirFacts struct {
	pos    string // of one of its files, to name in messages
	hasDoc bool   // a doc.go with a package comment
}

// check returns the violations in tree, one line each, sorted.
func check(tree fs.FS) ([]string, error) {
	c := &checker{tree: tree, fset: token.NewFileSet(), dirs: map[string]*dirFacts{}}
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_'):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return c.file(p)
	})
	for dir, facts := range c.dirs {
		if !facts.hasDoc {
			c.add(facts.pos, "package %s needs a doc.go whose package comment says what it does and what it never does", dir)
		}
	}
	slices.Sort(c.found)
	return c.found, err
}

func (c *checker) add(pos, format string, args ...any) {
	c.found = append(c.found, pos+": "+fmt.Sprintf(format, args...))
}

func (c *checker) at(n ast.Node) string {
	p := c.fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

func (c *checker) file(p string) error {
	src, err := fs.ReadFile(c.tree, p)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(c.fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	isTest := strings.HasSuffix(p, "_test.go")
	limit := maxLines
	if isTest {
		limit = maxTestLines
	}
	if lines := bytes.Count(src, []byte("\n")); lines > limit && !ast.IsGenerated(f) {
		c.add(p, "%d lines, the limit is %d: split it by subject", lines, limit)
	}
	dir := path.Dir(p)
	if c.dirs[dir] == nil {
		c.dirs[dir] = &dirFacts{pos: p}
	}
	if path.Base(p) == "doc.go" && f.Doc != nil {
		c.dirs[dir].hasDoc = true
	}
	c.imports(dir, f, isTest)
	if !isTest && f.Name.Name != "main" {
		c.documented(f)
	}
	return nil
}

// within reports whether dir is part or lies under it.
func within(dir, part string) bool { return dir == part || strings.HasPrefix(dir, part+"/") }

func withinAny(dir string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return within(dir, part) })
}

func (c *checker) imports(dir string, f *ast.File, isTest bool) {
	room, _, _ := strings.Cut(dir, "/")
	allowed, known := rooms[room]
	if !known {
		c.add(c.at(f.Name), "package %s is in no room of the house: %s", dir, "crypto, roster, transport, meet, examples or internal")
		return
	}
	own := room
	if parts := strings.Split(dir, "/"); room == "examples" && len(parts) > 1 {
		own = path.Join(parts[0], parts[1]) // one example is no library for another
	}
	for _, imp := range f.Imports {
		target, err := strconv.Unquote(imp.Path.Value)
		if err != nil || !within(target, module) {
			continue
		}
		target = strings.TrimPrefix(strings.TrimPrefix(target, module), "/")
		switch {
		case !within(target, own) && !withinAny(target, allowed) && !withinAny(target, extras[own]):
			c.add(c.at(imp), "%s must not import %s; %s", dir, target, mayImport(room, allowed))
		case within(target, rendezvous) && room != "examples" && !within(dir, rendezvous):
			c.add(c.at(imp), "%s must not import %s: only programs choose how meetings are found", dir, target)
		case withinAny(target, testWorlds) && !isTest && room != "examples" && !withinAny(dir, testWorlds):
			c.add(c.at(imp), "%s must not import %s outside its tests: it is a test world", dir, target)
		}
	}
}

func mayImport(room string, allowed []string) string {
	if len(allowed) == 0 {
		return room + " may import nothing local outside itself"
	}
	return room + " may import " + strings.Join(allowed, ", ")
}

// documented reports exported names of f that have no comment. A comment on a
// group of constants or variables, or at the end of the line, will do; the fields
// of a struct may lean on the comment of their type, except where they are knobs:
// each field of a Config or Options says its unit and what its zero value does.
func (c *checker) documented(f *ast.File) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && receiverExported(d) && d.Doc == nil {
				c.undocumented(d, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				c.documentedSpec(d, spec)
			}
		}
	}
}

func (c *checker) documentedSpec(d *ast.GenDecl, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		c.names(s, s.Names, s.Doc, s.Comment, d.Doc)
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return
		}
		doc := s.Doc
		if !d.Lparen.IsValid() {
			doc = d.Doc
		}
		c.names(s, []*ast.Ident{s.Name}, doc, s.Comment)
		switch t := s.Type.(type) {
		case *ast.StructType:
			if strings.HasSuffix(s.Name.Name, "Config") || strings.HasSuffix(s.Name.Name, "Options") {
				c.fields(t.Fields)
			}
		case *ast.InterfaceType:
			c.fields(t.Methods)
		}
	}
}

// fields checks the exported fields of a struct, or the methods of an interface.
func (c *checker) fields(list *ast.FieldList) {
	for _, field := range list.List {
		c.names(field, field.Names, field.Doc, field.Comment)
	}
}

func (c *checker) names(n ast.Node, names []*ast.Ident, comments ...*ast.CommentGroup) {
	if slices.ContainsFunc(comments, func(g *ast.CommentGroup) bool { return g != nil }) {
		return
	}
	for _, name := range names {
		if name.IsExported() {
			c.undocumented(n, name.Name)
			return
		}
	}
}

func (c *checker) undocumented(n ast.Node, name string) {
	c.add(c.at(n), "exported %s needs a comment: what it does, units, limits, errors, source", name)
}

// receiverExported reports whether d is a function, or a method of an exported type.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}
