using SmcDr.Cli;

return await new CliApplication(CliHost.ForConsole()).RunAsync(args).ConfigureAwait(false);
