package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// reference is a comment of a model that names Go code, and rules.
type reference struct {
	where string // file and line
	rules []string
	names []string // as "wire.Ledger.Next"
}

var (
	comment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	goName  = regexp.MustCompile(`^[a-z]\w*(\.\w+){1,2}$`)
	rule    = regexp.MustCompile(`\bR[1-9]\b`)
)

// references returns the comments of a model that name Go code: behind "Go:",
// to the end of the comment.
func references(file, text string) ([]reference, error) {
	var all []reference
	for _, at := range comment.FindAllStringIndex(text, -1) {
		before, after, ok := strings.Cut(strings.TrimSuffix(text[at[0]:at[1]], "*/"), "Go:")
		if !ok {
			continue
		}
		r := reference{
			where: fmt.Sprintf("%s:%d", filepath.Base(file), 1+strings.Count(text[:at[0]], "\n")),
			rules: rule.FindAllString(before, -1),
		}
		for name := range strings.SplitSeq(after, ",") {
			name = strings.TrimLeft(strings.TrimSpace(name), "* \n\t")
			if !goName.MatchString(name) {
				return nil, fmt.Errorf("%s: %q behind \"Go:\" is no name of a package's", r.where, name)
			}
			r.names = append(r.names, name)
		}
		all = append(all, r)
	}
	return all, nil
}

// checkNames checks that all that the models name is in the Go code, and that
// one of the files where it is names the same rule. It returns how many names
// there are.
func checkNames(root, dir string) (int, error) {
	models, err := filepath.Glob(filepath.Join(dir, "*.pml"))
	if err != nil {
		return 0, err
	}
	packages := map[string]map[string]string{}
	known := map[string]bool{}
	for _, model := range models {
		data, err := os.ReadFile(model)
		if err != nil {
			return 0, err
		}
		refs, err := references(model, string(data))
		if err != nil {
			return 0, err
		}
		for _, ref := range refs {
			var sources []string
			for _, name := range ref.names {
				known[name] = true
				pkg, rest, _ := strings.Cut(name, ".")
				if packages[pkg] == nil {
					if packages[pkg], err = declarations(filepath.Join(root, pkg)); err != nil {
						return 0, err
					}
				}
				source, ok := packages[pkg][rest]
				if !ok {
					return 0, fmt.Errorf("%s names %s, which package %s does not have", ref.where, name, pkg)
				}
				sources = append(sources, source)
			}
			for _, rule := range ref.rules {
				if !slices.ContainsFunc(sources, func(s string) bool { return namesRule(s, rule) }) {
					return 0, fmt.Errorf("%s says that %s is by rule %s, which no file with it names",
						ref.where, strings.Join(ref.names, ", "), rule)
				}
			}
		}
	}
	return len(known), nil
}

var ruleRange = regexp.MustCompile(`\bR([1-9]) to R([1-9])\b`)

// namesRule reports whether a source names a rule, by itself or as one of a range.
func namesRule(source, want string) bool {
	if slices.Contains(rule.FindAllString(source, -1), want) {
		return true
	}
	for _, m := range ruleRange.FindAllStringSubmatch(source, -1) {
		if m[1] <= want[1:] && want[1:] <= m[2] {
			return true
		}
	}
	return false
}

// declarations returns what the Go files of a directory declare, tests apart,
// each with the source of its file: functions, types, and methods as "Type.Method".
func declarations(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	declared := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			for _, name := range declaredBy(d) {
				declared[name] = string(source)
			}
		}
	}
	return declared, nil
}

func declaredBy(d ast.Decl) []string {
	var names []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		recv := d.Recv.List[0].Type
		if star, ok := recv.(*ast.StarExpr); ok {
			recv = star.X
		}
		switch generic := recv.(type) {
		case *ast.IndexExpr:
			recv = generic.X
		case *ast.IndexListExpr:
			recv = generic.X
		}
		if id, ok := recv.(*ast.Ident); ok {
			return []string{id.Name + "." + d.Name.Name}
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if t, ok := s.(*ast.TypeSpec); ok {
				names = append(names, t.Name.Name)
			}
		}
	}
	return names
}
