// The tests start real servers under accounts of their own and find their processes in /proc.
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
