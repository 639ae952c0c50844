package report

import (
	"encoding/xml"
	"fmt"
	"io"
)

type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr,omitempty"` // seconds
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit writes the thresholds as test cases for a CI system, and one case for each
// thing that determines the exit status without a threshold: violations, the
// generator's limit, saturation, and whether the run is whole.
func JUnit(w io.Writer, s *Summary, checks []Check) error {
	return writeXML(w, s.junit(checks))
}

func (s *junitSuite) add(class, name, failure string) {
	c := junitCase{Class: class, Name: name}
	if failure != "" {
		c.Failure = &junitFailure{failure}
		s.Failures++
	}
	s.Cases = append(s.Cases, c)
	s.Tests++
}

func (s *Summary) junit(checks []Check) junitSuite {
	plan := s.Result.Run.Plan
	suite := junitSuite{Name: "mqbench " + plan.Name, Time: fmt.Sprintf("%.3f", s.Whole.Seconds())}
	for _, c := range checks {
		failure := ""
		if !c.OK {
			failure = "measured: " + c.Got
		}
		suite.add("mqbench."+plan.Name, c.Condition.String(), failure)
	}
	for _, v := range []struct {
		name  string
		label Label
	}{{"no violation of the protocol", Violated}, {"the plan was carried out", Incomplete}, {"the generator was not the limit", GeneratorLimited}, {"not saturated", Saturated}, {"the whole run", PartialRun}} {
		failure := ""
		for _, have := range s.Verdicts {
			if have.Label == v.label {
				failure = join(failure, have.Text)
			}
		}
		suite.add("mqbench."+plan.Name, v.name, failure)
	}
	return suite
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
