from satdaemon.cli import main

if __name__ == "__main__":  # a process that reads zips imports this module again
    main()
