from satdaemon.cli import main

main()
