package cli_test

import (
	"context"
	"fmt"
	"os"

	"github.com/mqtools/mqtools/internal/cli"
	"github.com/mqtools/mqtools/internal/option"
)

func ExampleRun() {
	tool := cli.Tool{
		Program: option.Program{
			Name: "mqsub", Bit: option.Sub, Summary: "subscribe and print", Usage: "[OPTION]... -t FILTER...",
			Examples: []option.Example{{Command: "mqsub -v -t 'a/#'", Text: "print all below a, with topics"}},
		},
		Run: func(_ context.Context, inv *cli.Invocation) error {
			v := inv.Values
			if !v.Topic.IsSet() {
				return option.Usagef("no topic filter given").WithHint("pass one, e.g. -t 'a/#'")
			}
			for _, filter := range v.Topic.Texts() {
				if _, err := fmt.Fprintln(inv.Stdout, filter, v.QoS.Int(), v.Keepalive.Duration(), v.Host.Origin()); err != nil {
					return cli.Failed(option.ExitLocalIO, err)
				}
			}
			return nil
		},
	}
	env := cli.Env{Stdout: os.Stdout, Stderr: os.Stdout, Lookup: option.MapEnv(map[string]string{"MQ_HOST": "broker"})}
	env.Args = []string{"-vt", "a/#", "--topic=b", "-q1", "-k", "2m"}
	fmt.Println(cli.Run(context.Background(), env, tool))
	env.Args = []string{"-v"}
	fmt.Println(cli.Run(context.Background(), env, tool))
	// Output:
	// a/# 1 2m0s environment
	// b 1 2m0s environment
	// 0
	// mqsub: no topic filter given
	// mqsub: pass one, e.g. -t 'a/#'
	// 2
}
