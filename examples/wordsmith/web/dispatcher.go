// Puts a sentence together from words that the service "words" gives.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
)

func word(kind string) string {
	answer, err := http.Get("http://words:8080/" + kind)
	if err != nil {
		return "(no " + kind + ")"
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return "(no " + kind + ")"
	}
	return string(text)
}

func main() {
	http.HandleFunc("/", func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(out, "<!doctype html>\n<title>Wordsmith</title>\n<h1>The %s %s %s the %s %s.</h1>\n",
			word("adjective"), word("noun"), word("verb"), word("adjective"), word("noun"))
	})
	log.Fatal(http.ListenAndServe(":80", nil))
}
