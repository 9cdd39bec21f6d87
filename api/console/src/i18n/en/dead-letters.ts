const deadLetters = {
  title: "Dead letters",
};

export default deadLetters;
