// Copyright (c) 2026, k8snet.cni contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Says what Go's regexp says: each line of standard input is {"pattern": ..., "names": [...]},
// each line of output {"error": ..., "matches": [...]}. go_regex_vectors.json was made with it:
//
//	go run go_regex.go < questions
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
)

type question struct {
	Pattern string   `json:"pattern"`
	Names   []string `json:"names"`
}

type answer struct {
	Error   string   `json:"error"`
	Matches []string `json:"matches"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		found := answer{Matches: []string{}}
		if regex, err := regexp.Compile(asked.Pattern); err != nil {
			found.Error = err.Error()
		} else {
			for _, name := range asked.Names {
				if regex.MatchString(name) {
					found.Matches = append(found.Matches, name)
				}
			}
		}
		if err := out.Encode(found); err != nil {
			panic(err)
		}
	}
}
