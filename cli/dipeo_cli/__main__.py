from dipeo_cli.main import run_program

run_program()
